//! Which tables each package, and each version of it, has made.

use sea_orm::DeriveIden;

use super::Package;

/// The tables, by their names.
#[derive(Clone, Copy, Debug, DeriveIden)]
pub(super) enum Table {
    DjangoCeleryBeatPeriodictask,
    DjangoCeleryBeatIntervalschedule,
    DjangoCeleryBeatCrontabschedule,
    DjangoCeleryBeatSolarschedule,
    DjangoCeleryBeatClockedschedule,
    CeleryPeriodictask,
    CeleryIntervalschedule,
    CeleryCrontabschedule,
    CelerySolarschedule,
    CeleryClockedschedule,
    CeleryPeriodicTask,
    CeleryIntervalSchedule,
    CeleryCrontabSchedule,
    CelerySolarSchedule,
    CeleryClockedSchedule,
}

/// The names of one package's tables.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) package: Package,
    /// What people call it, with the versions that made it so.
    pub(super) title: &'static str,
    pub(super) task: Table,
    pub(super) interval: Table,
    pub(super) crontab: Table,
    pub(super) solar: Table,
    pub(super) clocked: Table,
}

/// All that are understood.
pub(super) const LAYOUTS: [Layout; 3] = [
    Layout {
        package: Package::Django,
        title: "django-celery-beat",
        task: Table::DjangoCeleryBeatPeriodictask,
        interval: Table::DjangoCeleryBeatIntervalschedule,
        crontab: Table::DjangoCeleryBeatCrontabschedule,
        solar: Table::DjangoCeleryBeatSolarschedule,
        clocked: Table::DjangoCeleryBeatClockedschedule,
    },
    Layout {
        package: Package::SqlAlchemy,
        title: "sqlalchemy-celery-beat",
        task: Table::CeleryPeriodictask,
        interval: Table::CeleryIntervalschedule,
        crontab: Table::CeleryCrontabschedule,
        solar: Table::CelerySolarschedule,
        clocked: Table::CeleryClockedschedule,
    },
    // Those of celery-sqlalchemy-scheduler, from which the package came, and of its first versions.
    Layout {
        package: Package::SqlAlchemy,
        title: "sqlalchemy-celery-beat before 0.5, or celery-sqlalchemy-scheduler",
        task: Table::CeleryPeriodicTask,
        interval: Table::CeleryIntervalSchedule,
        crontab: Table::CeleryCrontabSchedule,
        solar: Table::CelerySolarSchedule,
        clocked: Table::CeleryClockedSchedule,
    },
];
