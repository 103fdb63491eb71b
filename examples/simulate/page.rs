//! The page of an experiment: one HTML file with everything in it.

use crate::experiment::Experiment;
use crate::plots::Plot;
use crate::table::Table;

/// Puts the page together; `command` is the one that repeats it.
pub(crate) fn html(
    experiment: &Experiment,
    table: &Table,
    plots: &[Plot],
    command: &str,
) -> String {
    let notes = experiment.notes.iter();
    let notes: String = notes
        .map(|it| format!("<li>{}</li>\n", escaped(it)))
        .collect();
    let figures = plots.iter();
    let figures: String = figures
        .map(|it| format!("<figure>\n{}</figure>\n", it.svg))
        .collect();
    let title = escaped(&experiment.title);
    let unit = escaped(experiment.unit.name);
    let table = table.html();
    let command = escaped(command);
    format!(
        "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<ul class=\"notes\">
{notes}</ul>
{table}
<p class=\"unit\">Latencies are in {unit}. The longest queue is the most requests that one member had at a time.</p>
<div class=\"plots\">
{figures}</div>
<h2>Repeat it</h2>
<pre>{command}</pre>
</body>
</html>
"
    )
}

const STYLE: &str = "
:root { color: #222831; background: #f3f5f8; font: 15px/1.5 Inter, 'Segoe UI', Helvetica, Arial, sans-serif; }
body { max-width: 1760px; margin: 0 auto; padding: 24px; }
h1 { font-size: 24px; margin: 0 0 8px; }
h2 { font-size: 17px; margin: 24px 0 8px; }
.notes { margin: 0 0 20px; padding-left: 20px; color: #5f6875; }
table { border-collapse: collapse; background: #fff; border: 1px solid #dadfe6; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 14px; text-align: right; border-bottom: 1px solid #eff2f6; white-space: nowrap; }
th { color: #5f6875; font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tbody tr:hover { background: #f3f5f8; }
.unit { color: #5f6875; margin: 8px 0 20px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 640px), 1fr)); gap: 20px; }
figure { margin: 0; background: #fff; border: 1px solid #dadfe6; border-radius: 6px; overflow: hidden; }
figure svg { display: block; width: 100%; height: auto; }
pre { background: #fff; border: 1px solid #dadfe6; padding: 12px 16px; overflow-x: auto; }
";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
