//! `skiff demo`: three processes, writers, a leader killed again and again, and the proof that nothing
//! acknowledged is lost.

mod ledger;
mod plan;
mod report;
mod story;
mod verify;
mod writers;

use std::{sync::Arc, time::Instant};

use self::{
    ledger::Ledger,
    plan::{Phase, Plan},
    report::Report,
    story::Story,
    writers::Writers,
};
use crate::{
    args::Demo, cluster::LocalCluster, failure::Failure, random, signals::unless_interrupted, spans,
};

pub(crate) async fn run(args: Demo) -> Result<(), Failure> {
    let seed = args.seed.unwrap_or_else(random::seed);
    let plan = Plan::new(args.commands, args.kill, seed).map_err(Failure::usage)?;
    // Whatever ends this, the cluster is dropped, and with it the processes and their data.
    let report = unless_interrupted(act(&args, plan)).await?;
    if args.json {
        crate::say::json(&report)?
    } else {
        report.print()
    }
    report.verdict()
}

async fn act(args: &Demo, plan: Plan) -> Result<Report, Failure> {
    let story = Story::new(args.json, plan.commands);
    story.line(format_args!(
        "{} commands, {} kills, {} writers, seed {}",
        plan.commands,
        plan.phases.len() - 1,
        args.clients,
        plan.seed
    ));
    let mut cluster = LocalCluster::start(args.dir.as_deref(), args.keep, &[]).await?;
    story.line(format_args!(
        "three processes, their data in {} ({})",
        cluster.folder().display(),
        cluster.file_system()
    ));
    cluster.say_where(args.keep);
    let (leader, status) = cluster.leader().await?;
    story.line(format_args!("{} leads in term {}", cluster.name(leader), status.term));

    let ledger = Arc::new(Ledger::new(&plan));
    let mut writers = Writers::start(cluster.client(), &ledger, args.clients);
    let began = Instant::now();
    let showing = story.show_progress(&ledger);
    let mut failovers = Vec::new();
    for phase in &plan.phases {
        let part = play(&mut cluster, &story, &ledger, phase);
        tokio::select! {
            played = part => failovers.extend(played?),
            failed = writers.failure() => return Err(failed),
        }
    }
    writers.finish().await?;
    let took = began.elapsed();
    drop(showing);
    story.line(format_args!("all {} commands are acknowledged", plan.commands));

    let found = verify::read_back(&mut cluster, &ledger, &story).await?;
    Ok(Report::new(&plan, args.clients, &cluster, &ledger, took, &failovers, found))
}

/// One phase of the plan: lets the writers go on, and kills the leader in the middle of it. Returns
/// how long it then took until a command was acknowledged again, unless nothing is killed.
async fn play(
    cluster: &mut LocalCluster,
    story: &Story,
    ledger: &Ledger,
    phase: &Phase,
) -> Result<Option<std::time::Duration>, Failure> {
    let Some(kill) = &phase.kill else {
        ledger.allow(phase.until);
        return Ok(None);
    };
    ledger.allow(kill.allowed_before);
    ledger.acknowledged(kill.after).await;
    let (victim, status) = cluster.leader().await?;
    let killed = Instant::now();
    let resumed = ledger.next_after(killed);
    cluster.kill(victim)?;
    story.line(format_args!(
        "{} is killed: it led in term {}, {} were committed, {} acknowledged",
        cluster.name(victim),
        status.term,
        status.committed,
        ledger.count()
    ));
    ledger.allow(phase.until);
    let failover = resumed.await.duration_since(killed);
    let (leader, status) = cluster.leader().await?;
    story.line(format_args!(
        "{} leads in term {}; a command was acknowledged again after {} ms",
        cluster.name(leader),
        status.term,
        spans::millis(failover)
    ));
    bring_back(cluster, story, victim).await?;
    Ok(Some(failover))
}

/// Starts a killed node again and waits until it has what the leader had committed by then.
async fn bring_back(
    cluster: &mut LocalCluster,
    story: &Story,
    victim: usize,
) -> Result<(), Failure> {
    let began = Instant::now();
    cluster.restart(victim)?;
    let back = cluster.wait_for(victim, skiff::Status::is_ready).await?;
    let (_, leader) = cluster.leader().await?;
    let caught_up = cluster.wait_for(victim, |status| status.applied >= leader.committed).await?;
    story.line(format_args!(
        "{} is back after {} ms: it came with {} entries and has applied {}",
        cluster.name(victim),
        spans::millis(began.elapsed()),
        back.last,
        caught_up.applied
    ));
    Ok(())
}
