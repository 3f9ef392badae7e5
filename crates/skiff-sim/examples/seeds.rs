use skiff_sim::*;
fn main() {
    let arg = |n: usize, d: u64| std::env::args().nth(n).and_then(|a| a.parse().ok()).unwrap_or(d);
    let (from, count, secs) = (arg(1, 0), arg(2, 10), arg(3, 10));
    let mut all = Reached::default();
    let (mut events, mut sim, mut fails) = (0, 0, 0);
    let t = std::time::Instant::now();
    std::panic::set_hook(Box::new(|_| {}));
    for seed in from..from + count {
        let nodes = std::env::var("NODES").ok().map(|n| n.parse().unwrap());
        let mode = match std::env::var("MODE").as_deref() { Ok("r") => Mode::Recoverable, Ok("u") => Mode::Unlimited, _ => Mode::Crash };
        let plan = Plan::of_seed(seed, Limits { nanos: secs * 1_000_000_000, nodes, mode });
        if std::env::var("PLAN").is_ok() { println!("{:#?}\n{:?}", plan.knobs, plan.faults); }
        let report = if std::env::var("TRACE").is_ok() {
            run_with_trace(&plan, &Registers, &mut |line| println!("{line}"))
        } else { run(&plan, &Registers) };
        if let Some(f) = &report.failure { fails += 1; println!("seed {seed} ({} nodes): {f}", plan.nodes); }
        all.add(&report.reached); events += report.events; sim += report.simulated;
    }
    let el = t.elapsed().as_secs_f64();
    if std::env::var("QUIET").is_err() { for (n, _, c) in all.rows() { println!("{c:>10} {n}"); } }
    println!("{count} seeds, {fails} failures, {events} events, {:.0}/s, {:.1} s simulated, {el:.2} s", events as f64 / el, sim as f64 / 1e9);
}
