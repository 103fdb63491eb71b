//! What all plots have: [`Frame`], with a title, axes, lines and a legend beside the plot.
//!
//! Not here: what is plotted.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::axis::Scale;
use crate::numbers::round_number;

/// An error of a drawing.
pub(crate) type PlotError = Box<dyn std::error::Error>;

/// Coordinates of the drawing are whole numbers: so many for one pixel.
const FINE: f64 = 8.0;

const INK: RGBColor = RGBColor(34, 40, 49);
const PALE_INK: RGBColor = RGBColor(95, 104, 117);
const GRID: RGBColor = RGBColor(218, 223, 230);
const FINE_GRID: RGBColor = RGBColor(239, 242, 246);

/// The colours of the bound, and of the schedulers: those of Okabe and Ito, which people of
/// all kinds of colour vision can tell apart, without yellow, which is too pale on white.
const BOUND: RGBColor = RGBColor(120, 126, 136);
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(34, 40, 49),
];

/// Where a plot is on the drawing, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

/// An axis with its name; `text` writes a tick.
pub(crate) struct Axis<'a> {
    pub(crate) scale: Scale,
    pub(crate) name: &'a str,
    pub(crate) text: &'a dyn Fn(f64) -> String,
    /// Ticks in place of the round ones.
    pub(crate) ticks: Option<Vec<f64>>,
}

impl<'a> Axis<'a> {
    pub(crate) fn new(scale: Scale, name: &'a str) -> Self {
        Self {
            scale,
            name,
            text: &round_number,
            ticks: None,
        }
    }

    /// Numbers for fine lines, if the ticks are round numbers.
    fn minor_ticks(&self) -> Vec<f64> {
        match self.ticks {
            Some(_) => Vec::new(),
            None => self.scale.minor_ticks(),
        }
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    colour: RGBColor,
    /// Dash and gap in pixels.
    dash: Option<(f64, f64)>,
    width: f64,
}

impl Look {
    /// The look of a scheduler by its place, or of the bound.
    pub(crate) fn of(index: Option<usize>) -> Self {
        let Some(index) = index else {
            return Self {
                colour: BOUND,
                dash: Some((2.0, 4.0)),
                width: 2.0,
            };
        };
        Self {
            colour: COLOURS[index % COLOURS.len()],
            dash: match index / COLOURS.len() {
                0 => None,
                1 => Some((9.0, 4.0)),
                _ => Some((4.0, 5.0)),
            },
            width: 2.2,
        }
    }

    pub(crate) fn thin(self) -> Self {
        Self { width: 1.4, ..self }
    }
}

/// An entry of the legend.
pub(crate) struct Key {
    pub(crate) look: Look,
    pub(crate) name: String,
    pub(crate) note: String,
}

/// A drawing.
pub(crate) struct Frame<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl<'a> Frame<'a> {
    /// Draws on a new page of `size` pixels and returns the SVG.
    pub(crate) fn draw(
        size: (u32, u32),
        (title, subtitle): (&str, &str),
        fill: impl FnOnce(&Frame<'_>) -> Result<(), PlotError>,
    ) -> Result<String, PlotError> {
        let mut svg = String::new();
        let fine = (size.0 * FINE as u32, size.1 * FINE as u32);
        {
            let area = SVGBackend::with_string(&mut svg, fine).into_drawing_area();
            let frame = Frame { area };
            let white = RGBColor(255, 255, 255).filled();
            let whole = [(0, 0), (fine.0 as i32, fine.1 as i32)];
            frame.area.draw(&Rectangle::new(whole, white))?;
            frame.text(title, (20.0, 28.0), (17.0, true, INK), HPos::Left)?;
            frame.text(subtitle, (20.0, 49.0), (12.5, false, PALE_INK), HPos::Left)?;
            fill(&frame)?;
            frame.area.present()?;
        }
        // The size that it is shown with is that in pixels.
        let head = format!("width=\"{}\" height=\"{}\"", fine.0, fine.1);
        let shown = format!(
            "width=\"{}\" height=\"{}\" role=\"img\" stroke-linejoin=\"round\" stroke-linecap=\"round\"",
            size.0, size.1
        );
        Ok(svg.replacen(&head, &shown, 1))
    }

    fn text(
        &self,
        text: &str,
        at: (f64, f64),
        (size, bold, colour): (f64, bool, RGBColor),
        side: HPos,
    ) -> Result<(), PlotError> {
        let style = text_style(size, bold, colour).pos(Pos::new(side, VPos::Center));
        Ok(self.area.draw_text(text, &style, fine(at))?)
    }

    /// Draws the axes and the grid of a panel.
    pub(crate) fn axes(&self, panel: Panel, x: &Axis<'_>, y: &Axis<'_>) -> Result<(), PlotError> {
        let view = View {
            panel,
            x: x.scale,
            y: y.scale,
        };
        for at in x.minor_ticks() {
            self.rule(view.column(at), FINE_GRID, 1.0)?;
        }
        for at in y.scale.minor_ticks() {
            self.rule(view.row(at), FINE_GRID, 1.0)?;
        }
        let small = (12.0, false, PALE_INK);
        for at in x.ticks.clone().unwrap_or_else(|| x.scale.ticks()) {
            self.rule(view.column(at), GRID, 1.0)?;
            let (left, _) = view.place(at, 0.0);
            let place = (left, panel.bottom + 15.0);
            self.text(&(x.text)(at), place, small, HPos::Center)?;
        }
        for at in y.ticks.clone().unwrap_or_else(|| y.scale.ticks()) {
            self.rule(view.row(at), GRID, 1.0)?;
            let (_, top) = view.place(0.0, at);
            let place = (panel.left - 8.0, top);
            self.text(&(y.text)(at), place, small, HPos::Right)?;
        }
        let corners = [(panel.left, panel.bottom), (panel.right, panel.bottom)];
        self.rule(corners, PALE_INK, 1.2)?;
        let middle = (panel.left + panel.right) / 2.0;
        let named = (12.5, false, INK);
        self.text(x.name, (middle, panel.bottom + 36.0), named, HPos::Center)?;
        // The name of the vertical axis is above it, so that it is read without turning.
        let place = (panel.left - 50.0, panel.top - 16.0);
        self.text(y.name, place, named, HPos::Left)
    }

    fn rule(&self, ends: [(f64, f64); 2], colour: RGBColor, width: f64) -> Result<(), PlotError> {
        let points = ends.map(fine).to_vec();
        let style = stroke(colour, width);
        Ok(self.area.draw(&PathElement::new(points, style))?)
    }

    /// Draws a line through points; what is outside of the panel is left out.
    pub(crate) fn line(
        &self,
        view: &View,
        points: impl Iterator<Item = (f64, f64)>,
        look: Look,
    ) -> Result<(), PlotError> {
        let places = view.clip(points.map(|(x, y)| view.place(x, y)));
        for part in dashes(&places, look.dash) {
            let points: Vec<_> = part.into_iter().map(fine).collect();
            let style = stroke(look.colour, look.width);
            self.area.draw(&PathElement::new(points, style))?;
        }
        Ok(())
    }

    /// Draws a dot.
    pub(crate) fn dot(
        &self,
        view: &View,
        (x, y): (f64, f64),
        radius: f64,
        look: Look,
    ) -> Result<(), PlotError> {
        let place = view.place(x, y);
        let edge = RGBColor(255, 255, 255).filled();
        let radius = |by: f64| ((radius + by) * FINE) as i32;
        self.area
            .draw(&Circle::new(fine(place), radius(1.0), edge))?;
        let fill = look.colour.filled();
        self.area
            .draw(&Circle::new(fine(place), radius(0.0), fill))?;
        Ok(())
    }

    /// Draws a horizontal line with a remark at its left end.
    pub(crate) fn mark(&self, view: &View, y: f64, text: &str) -> Result<(), PlotError> {
        self.rule(view.row(y), PALE_INK, 1.0)?;
        if text.is_empty() {
            return Ok(());
        }
        let (_, top) = view.place(0.0, y);
        let place = (view.panel.left + 6.0, top - 8.0);
        self.text(text, place, (11.5, false, PALE_INK), HPos::Left)
    }

    /// Draws the legend, downwards from a place, and so wide; `head` is above it.
    pub(crate) fn legend(
        &self,
        (left, top): (f64, f64),
        width: f64,
        head: &str,
        keys: &[Key],
    ) -> Result<(), PlotError> {
        self.text(head, (left, top), (11.5, false, PALE_INK), HPos::Left)?;
        for (at, key) in keys.iter().enumerate() {
            let top = top + 22.0 + at as f64 * 21.0;
            let line = [(left, top), (left + 24.0, top)];
            for part in dashes(&line, key.look.dash) {
                let points: Vec<_> = part.into_iter().map(fine).collect();
                let style = stroke(key.look.colour, 3.0);
                self.area.draw(&PathElement::new(points, style))?;
            }
            self.text(
                &key.name,
                (left + 32.0, top),
                (12.5, false, INK),
                HPos::Left,
            )?;
            let note = (left + width, top);
            self.text(&key.note, note, (12.5, false, PALE_INK), HPos::Right)?;
        }
        Ok(())
    }

    /// Writes a heading above a panel.
    pub(crate) fn heading(&self, panel: Panel, text: &str) -> Result<(), PlotError> {
        let place = (panel.left - 50.0, panel.top - 36.0);
        self.text(text, place, (13.5, true, INK), HPos::Left)
    }
}

/// A panel with its scales.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) panel: Panel,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
}

impl View {
    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let Panel {
            left,
            top,
            right,
            bottom,
        } = self.panel;
        (
            left + self.x.place(x) * (right - left),
            bottom - self.y.place(y) * (bottom - top),
        )
    }

    fn column(&self, x: f64) -> [(f64, f64); 2] {
        let (left, _) = self.place(x, 0.0);
        [(left, self.panel.top), (left, self.panel.bottom)]
    }

    fn row(&self, y: f64) -> [(f64, f64); 2] {
        let (_, top) = self.place(0.0, y);
        [(self.panel.left, top), (self.panel.right, top)]
    }

    /// Leaves out places that cannot be told apart, and cuts a line at the edges.
    fn clip(&self, places: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
        let Panel {
            left,
            top,
            right,
            bottom,
        } = self.panel;
        let mut kept: Vec<(f64, f64)> = Vec::new();
        let mut before: Option<(f64, f64)> = None;
        for (x, y) in places {
            let inside = (left..=right).contains(&x) && (top..=bottom).contains(&y);
            let was_inside = before
                .is_some_and(|(x, y)| (left..=right).contains(&x) && (top..=bottom).contains(&y));
            if inside {
                if let Some(outside) = before.filter(|_| !was_inside) {
                    kept.push(self.cut((x, y), outside));
                }
                let far = kept
                    .last()
                    .is_none_or(|last| (last.0 - x).abs() + (last.1 - y).abs() >= 1.0);
                if far {
                    kept.push((x, y));
                }
            } else if let Some(inner) = before.filter(|_| was_inside) {
                kept.push(self.cut(inner, (x, y)));
            }
            before = Some((x, y));
        }
        kept
    }

    /// Returns where the line from a place inside to one outside leaves the panel.
    fn cut(&self, (x, y): (f64, f64), (far_x, far_y): (f64, f64)) -> (f64, f64) {
        let Panel {
            left,
            top,
            right,
            bottom,
        } = self.panel;
        let part = |from: f64, to: f64, low: f64, high: f64| {
            let end = to.clamp(low, high);
            if (to - from).abs() < 1e-9 {
                1.0
            } else {
                (end - from) / (to - from)
            }
        };
        let share = part(x, far_x, left, right).min(part(y, far_y, top, bottom));
        (x + share * (far_x - x), y + share * (far_y - y))
    }
}

/// Divides a line into dashes.
fn dashes(places: &[(f64, f64)], dash: Option<(f64, f64)>) -> Vec<Vec<(f64, f64)>> {
    let Some((on, off)) = dash else {
        return vec![places.to_vec()];
    };
    let mut parts = Vec::new();
    let mut part = Vec::from_iter(places.first().copied());
    // How much of the dash, or of the gap, is left.
    let (mut drawing, mut left) = (true, on);
    for two in places.windows(2) {
        let [mut from, to] = [two[0], two[1]];
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                if drawing {
                    part.push(to);
                }
                break;
            }
            let share = left / length;
            from = (
                from.0 + share * (to.0 - from.0),
                from.1 + share * (to.1 - from.1),
            );
            if drawing {
                part.push(from);
                parts.push(std::mem::take(&mut part));
            } else {
                part.push(from);
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
    }
    if part.len() > 1 {
        parts.push(part);
    }
    parts
}

fn fine((x, y): (f64, f64)) -> (i32, i32) {
    ((x * FINE).round() as i32, (y * FINE).round() as i32)
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    colour.stroke_width((width * FINE) as u32)
}

fn text_style(size: f64, bold: bool, colour: RGBColor) -> TextStyle<'static> {
    // The backend divides by this factor.
    let size = size * FINE * 1.24;
    let family = "Inter, Segoe UI, Helvetica, Arial, sans-serif";
    let font = (family, size).into_font();
    let style = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    font.style(style).color(&colour)
}
