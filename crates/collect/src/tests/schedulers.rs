//! The jobs of collecting come and go on a scheduler.

use std::sync::Arc;

use celeriac_control::workflow::Lookouts;
use celeriac_control::{Driver, Environment, Scheduler};
use celeriac_engine::Task as _;

use super::rig::{Rig, settings};
use crate::domain::{process_pending_domains, setup_domain_scheduler};
use crate::page::{process_pending_pages, setup_page_scheduler};
use crate::sitemap::{process_pending_sitemaps, setup_sitemap_scheduler};

#[test]
fn each_job_has_the_name_by_which_it_is_known() {
    let names = [process_pending_domains::NAME, process_pending_sitemaps::NAME, process_pending_pages::NAME];
    assert_eq!(names, ["process_pending_domains", "process_sitemap_imports", "process_pending_pages"]);
}

#[tokio::test]
async fn each_workflow_is_added_under_its_id_again_and_again_and_removed() {
    let rig = Rig::new(settings(&[])).await;
    celeriac_store::MIGRATIONS.up(rig.database(), 0).await.unwrap();
    let environment = Environment::new(rig.database().clone(), rig.client());
    let driver = Driver::new(Arc::clone(environment.clock()));
    let (workflows, lookouts) = (rig.workflows.clone(), Lookouts::default());
    let scheduler = Scheduler::new("house", &environment, driver.handle(), workflows, lookouts);
    let (collector, how) = (&rig.collector, rig.collector.settings());
    for _ in 0..2 {
        setup_domain_scheduler(&scheduler, collector, how.domain_workflow.clone()).await.unwrap();
        setup_sitemap_scheduler(&scheduler, collector, how.sitemap_workflow.clone()).await.unwrap();
        setup_page_scheduler(&scheduler, collector, how.page_workflow.clone()).await.unwrap();
    }
    let jobs = ["process_pending_domains", "process_pending_pages", "process_sitemap_imports"];
    assert_eq!(scheduler.jobs(), jobs);
    assert_eq!(driver.board().statuses().len(), 3);
    for job in jobs {
        assert!(scheduler.remove(job).await.unwrap(), "{job}");
    }
    assert!(scheduler.jobs().is_empty() && driver.board().statuses().is_empty());
}
