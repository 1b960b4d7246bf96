//! The tables of Celery's schedulers. They are read and never written.
//!
//! The same columns stand in tables of several names, see `layout.rs`. Every column is read as text: what type it has
//! depends on the package, its version, and the database.

#![expect(unreachable_pub, reason = "the entity macro makes public types beside it")]

/// What is sent when: one row for each entry.
pub(in super::super) mod task {
    use sea_orm::entity::prelude::*;

    /// One entry.
    #[sea_orm::model]
    #[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "celery_periodictask")]
    pub struct Model {
        /// Its number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Its name.
        pub name: Option<String>,
        /// The task's name.
        pub task: Option<String>,
        /// Positional arguments, a JSON array.
        pub args: Option<String>,
        /// Named arguments, a JSON object.
        pub kwargs: Option<String>,
        /// The queue.
        pub queue: Option<String>,
        /// The exchange.
        pub exchange: Option<String>,
        /// What its bindings compare.
        pub routing_key: Option<String>,
        /// Headers, a JSON object.
        pub headers: Option<String>,
        /// The priority, 0 to 255.
        pub priority: Option<String>,
        /// After when it is not sent.
        pub expires: Option<String>,
        /// After how many seconds a job does not begin.
        pub expire_seconds: Option<String>,
        /// Whether it is sent once.
        pub one_off: Option<String>,
        /// Not sent before.
        pub start_time: Option<String>,
        /// Whether it is sent.
        pub enabled: Option<String>,
        /// When it was sent last.
        pub last_run_at: Option<String>,
        /// How often it was sent.
        pub total_run_count: Option<String>,
        /// When somebody changed it.
        pub date_changed: Option<String>,
        /// What it is for.
        pub description: Option<String>,
        /// Its interval.
        pub interval_id: Option<String>,
        /// Its crontab.
        pub crontab_id: Option<String>,
        /// Its event of the sun.
        pub solar_id: Option<String>,
        /// Its one time.
        pub clocked_id: Option<String>,
        /// Which kind of schedule it has, where one column links to all kinds.
        pub discriminator: Option<String>,
        /// Which one.
        pub schedule_id: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Intervals.
pub(in super::super) mod interval {
    use sea_orm::entity::prelude::*;

    /// Every so many periods.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "celery_intervalschedule")]
    pub struct Model {
        /// Its number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// How many.
        pub every: Option<String>,
        /// `days` to `microseconds`.
        pub period: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Crontabs.
pub(in super::super) mod crontab {
    use sea_orm::entity::prelude::*;

    /// Times on a wall.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "celery_crontabschedule")]
    pub struct Model {
        /// Its number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Minutes.
        pub minute: Option<String>,
        /// Hours.
        pub hour: Option<String>,
        /// Days of the week.
        pub day_of_week: Option<String>,
        /// Days of the month.
        pub day_of_month: Option<String>,
        /// Months.
        pub month_of_year: Option<String>,
        /// The zone's name.
        pub timezone: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Events of the sun.
pub(in super::super) mod solar {
    use sea_orm::entity::prelude::*;

    /// An event at a place.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "celery_solarschedule")]
    pub struct Model {
        /// Its number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// The event.
        pub event: Option<String>,
        /// Degrees to the north.
        pub latitude: Option<String>,
        /// Degrees to the east.
        pub longitude: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Single times.
pub(in super::super) mod clocked {
    use sea_orm::entity::prelude::*;

    /// One time.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "celery_clockedschedule")]
    pub struct Model {
        /// Its number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// When.
        pub clocked_time: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
