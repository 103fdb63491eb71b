//! The plots of the documentation: all scenarios, with fixed settings.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::options::Options;
use crate::plan;
use crate::plots;
use crate::scenarios::SCENARIOS;
use crate::table::Table;

/// Writes the plots of all scenarios and a page with their tables into a folder.
///
/// Only this command writes there, so its settings are those of the committed plots.
pub(crate) fn write(folder: &Path, options: &Options) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let mut page = format!(
        "# Which scheduler for which load\n\n\
         Simulations with the real schedulers, written by\n\n\
         ```sh\n{}\n```\n\n\
         Latencies are in mean service times. The same requests arrive at the same times for \
         each scheduler of a scenario. The first tenth of the requests is not counted. *One \
         common queue* is what no scheduler can improve on: all members take their requests from \
         it. The longest queue is the most requests that one member had at a time.\n",
        plan::command()
    );
    for scenario in SCENARIOS {
        let options = Options {
            scenario: scenario.name.to_owned(),
            docs: None,
            ..options.clone()
        };
        let experiment = plan::of_scenario(&options)?;
        println!("{}", experiment.title);
        let findings = experiment.run()?;
        let table = Table::new(&experiment, &findings);
        print!("{}", table.text());
        println!("{}\n", findings.speed());
        page += &format!(
            "\n## {}\n\n{}.\n\n",
            scenario.name,
            sentence(scenario.about)
        );
        page += &format!(
            "{}.\n\n{}",
            sentence(&experiment.notes[0]),
            table.markdown()
        );
        for plot in plots::draw(&experiment, &findings)? {
            if !scenario.plots.contains(&plot.kind) {
                continue;
            }
            let name = format!("{}-{}.svg", scenario.name, plot.name);
            fs::write(folder.join(&name), plot.svg)?;
            page += &format!("\n![{}: {}]({name})\n", scenario.name, plot.name);
        }
    }
    let path = folder.join("README.md");
    fs::write(&path, page)?;
    println!("The plots are in {}.", path.display());
    Ok(())
}

/// Begins with a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|it| it.to_uppercase().collect::<String>());
    first.unwrap_or_default() + letters.as_str()
}
