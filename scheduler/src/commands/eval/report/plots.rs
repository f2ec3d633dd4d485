//! Plots, as SVG.

use anyhow::Result;
use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;
use sojourn::evaluation::{MethodSummary, Summary};

use super::tables::Kind;

const WIDTH: u32 = 640;
const ROW: u32 = 26;
const FRAME: u32 = 90;

/// One for each source, in turn; told apart by people who see few colours.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// A score of each method on each source, with intervals.
pub fn scores(summary: &Summary, kind: Kind, score: &str, title: &str) -> Result<String> {
    let methods: Vec<&MethodSummary> = summary.methods.iter().rev().collect();
    let mut svg = String::new();
    {
        let height = FRAME + ROW * methods.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("{title}, {}", kind.said()), ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(190)
            .build_cartesian_2d(0.0_f64..1.0, (0..methods.len()).into_segmented())?;
        let label = |value: &SegmentValue<usize>| match value {
            SegmentValue::CenterOf(at) | SegmentValue::Exact(at) => methods
                .get(*at)
                .map(|method| method.label.clone())
                .unwrap_or_default(),
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_max_light_lines(0)
            .y_labels(methods.len())
            .y_label_formatter(&label)
            .x_label_formatter(&|value| format!("{value:.1}"))
            .draw()?;
        for (source, colour) in summary.sources.iter().zip(COLOURS.into_iter().cycle()) {
            let found = methods.iter().enumerate().filter_map(|(at, method)| {
                let cell = method.cell(source, kind.difficulty, kind.noise)?;
                let estimate = cell.scores.get(score)?;
                Some((SegmentValue::CenterOf(at), *estimate))
            });
            let found: Vec<_> = found.collect();
            if found.is_empty() {
                continue;
            }
            let interval =
                |(at, estimate): &(SegmentValue<usize>, sojourn::evaluation::Estimate)| {
                    let low = (estimate.mean - estimate.half_width).max(0.0);
                    let high = (estimate.mean + estimate.half_width).min(1.0);
                    PathElement::new(
                        vec![(low, at.clone()), (high, at.clone())],
                        colour.stroke_width(2),
                    )
                };
            chart.draw_series(found.iter().map(interval))?;
            let dot = |(at, estimate): &(SegmentValue<usize>, sojourn::evaluation::Estimate)| {
                Circle::new(
                    (estimate.mean.clamp(0.0, 1.0), at.clone()),
                    4,
                    colour.filled(),
                )
            };
            chart
                .draw_series(found.iter().map(dot))?
                .label(source.as_str())
                .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

/// Items a second of each method, on a logarithmic scale.
pub fn speed(summary: &Summary) -> Result<String> {
    let rated = summary.methods.iter().rev();
    let rated = rated.filter_map(|method| Some((method, method.items_per_second()?)));
    let rated: Vec<(&MethodSummary, f64)> = rated.collect();
    let most = rated.iter().map(|(_, rate)| *rate).fold(10.0, f64::max);
    let mut svg = String::new();
    {
        let height = FRAME + ROW * rated.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Items a second, text to journeys", ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(190)
            .build_cartesian_2d(
                (1.0_f64..most * 2.0).log_scale(),
                (0..rated.len()).into_segmented(),
            )?;
        let label = |value: &SegmentValue<usize>| match value {
            SegmentValue::CenterOf(at) | SegmentValue::Exact(at) => rated
                .get(*at)
                .map(|(method, _)| method.label.clone())
                .unwrap_or_default(),
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(rated.len())
            .y_label_formatter(&label)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .draw()?;
        let dot = |(at, (_, rate)): (usize, &(&MethodSummary, f64))| {
            Circle::new(
                (rate.max(1.0), SegmentValue::CenterOf(at)),
                5,
                COLOURS[0].filled(),
            )
        };
        chart.draw_series(rated.iter().enumerate().map(dot))?;
        area.present()?;
    }
    Ok(svg)
}
