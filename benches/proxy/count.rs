//! Instructions and allocations for each request, which do not depend on what else the machine
//! does: [`run`]. Contenders run in valgrind, once with few requests and once with many; the
//! difference is what requests cost.

#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]

use equipoise::service::BoxError;

use crate::arena::Arena;
use crate::contender::Contender;
use crate::load;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::options::Options;
use crate::side_by_side::program::find;
use crate::side_by_side::progress::{Progress, say};
use crate::side_by_side::results::figure;
use crate::side_by_side::setting;
use crate::targets::verdict;
use crate::work::{Pace, Protocol, Work};

/// Requests in the one run and in the other. A connection costs a few requests, and a handshake
/// of TLS a hundred.
const fn requests(work: Work) -> [u32; 2] {
    match (work.task().protocol, work.task().pace) {
        (Protocol::Tls, Pace::Anew { .. }) => [200, 600],
        (_, Pace::Anew { .. }) => [500, 2_000],
        _ => [2_000, 8_000],
    }
}

/// What counts, and the words before the figure in its report.
const TOOLS: [(&str, &str); 2] = [
    ("callgrind", "Collected : "),
    ("memcheck", "total heap usage: "),
];

/// At most so many instructions and allocations, on every front of this crate.
const fn most(work: Work) -> Option<[f64; 2]> {
    match work {
        Work::Small => Some([27_000.0, 7.0]),
        Work::Post => Some([34_000.0, 12.0]),
        _ => None,
    }
}

/// Whether it says something beside the others.
const fn is_counted(contender: Contender, work: Work) -> bool {
    let is_program = contender.role().is_some() && contender.is_proxy();
    let is_same = matches!(contender, Contender::BareMimalloc | Contender::OursMimalloc);
    is_program && !is_same && contender.is_about(work)
}

pub(crate) async fn run(options: &Options<Contender, Work>) -> Result<(), BoxError> {
    if !setting::is_fit() {
        return Ok(());
    }
    for program in ["valgrind", "h2load"] {
        if find(program).is_none() {
            let remedy = load::remedy(program);
            say(format_args!(
                "nothing is counted: there is no {program}; {remedy}"
            ));
            return Ok(());
        }
    }
    let arena = Arena::new().await?;
    let contenders = setting::installed(&options.contenders());
    let mut pairs = Vec::new();
    for work in options.works() {
        // These would count the same as others, or bytes.
        if !matches!(work, Work::Large | Work::Single | Work::Offered) {
            let its = contenders.iter().copied();
            let its = its.filter(|&contender| is_counted(contender, work));
            pairs.extend(its.map(|contender| (work, contender)));
        }
    }
    let progress = Progress::of(pairs.len());
    let mut rows = Vec::new();
    for (work, contender) in pairs {
        progress.begin(&work.name(), contender.name());
        let counted = count(&arena, contender, work).await;
        let counted = progress.tell(counted, |[instructions, allocations]| {
            format!("{instructions:8.0} instructions {allocations:6.2} allocations")
        });
        rows.push((work, contender, counted));
    }
    progress.aside(|| print(&rows));
    match rows.iter().all(|(.., counted)| counted.is_some()) {
        true => Ok(()),
        false => Err("not all could be counted".into()),
    }
}

/// Instructions and allocations for each request.
async fn count(arena: &Arena, contender: Contender, work: Work) -> Result<[f64; 2], BoxError> {
    let mut figures = [0.0; 2];
    let [a_few, more] = requests(work);
    for (figure, tool) in figures.iter_mut().zip(TOOLS) {
        let few = total(arena, contender, work, (tool, a_few)).await?;
        let many = total(arena, contender, work, (tool, more)).await?;
        *figure = (many - few) / f64::from(more - a_few);
    }
    Ok(figures)
}

/// What a contender's whole run counts, with so many requests.
async fn total(
    arena: &Arena,
    contender: Contender,
    work: Work,
    ((tool, label), requests): ((&str, &str), u32),
) -> Result<f64, BoxError> {
    let started = arena.start(contender, work, |command| {
        command.arg("valgrind").arg(format!("--tool={tool}"));
        if tool == "callgrind" {
            command.arg("--callgrind-out-file=/dev/null");
        } else {
            command.args(["--leak-check=no", "--undef-value-errors=no"]);
        }
    });
    let (running, course) = started.await?;
    load::send(work, course, requests).await?;
    // Dropped, it ends; then it reports.
    drop(running);
    let said = std::fs::read_to_string(course.folder.join(contender.name()).join("output.log"))?;
    let figure = said.lines().find_map(|line| line.split_once(label));
    let figure = figure.and_then(|(_, rest)| rest.split_whitespace().next());
    let figure = figure.ok_or("valgrind reports no figure")?;
    Ok(figure.replace(',', "").parse()?)
}

type Row = (Work, Contender, Option<[f64; 2]>);

fn print(rows: &[Row]) {
    println!("\n#### Instructions and allocations for each request\n");
    println!("| work | proxy | instructions | × bare-headers | allocations | target | verdict |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for &(work, contender, counted) in rows {
        let (name, of) = (contender.name(), work.name());
        let Some([instructions, allocations]) = counted else {
            println!("| {of} | {name} | – | – | – | | |");
            continue;
        };
        let mut same = rows.iter().filter(|row| row.0 == work);
        let bare = same
            .find_map(|&(_, other, counted)| counted.filter(|_| other == Contender::BareHeaders));
        let ratio = figure(bare.map(|[bare, _]| instructions / bare), 2);
        let is_ours = !name.starts_with("bare");
        let (target, met) = match most(work).filter(|_| is_ours) {
            Some([first, second]) => (
                format!("≤ {first}, {second}"),
                // Connections that are opened count, too.
                format!(
                    "{}, {}",
                    verdict(instructions, first),
                    verdict(allocations, second + 0.1)
                ),
            ),
            None => Default::default(),
        };
        println!(
            "| {of} | {name} | {instructions:.0} | {ratio} | {allocations:.2} | {target} | {met} |"
        );
    }
}
