//! Some costs of something that grows, as a table and as a plot.

use std::path::Path;

use plotters::prelude::*;

const SIZE: (u32, u32) = (640, 360);

/// Told apart by people who see few colours.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// What was measured.
pub struct Curve {
    /// Name of the plot's file.
    pub name: &'static str,
    /// What grows.
    pub of: &'static str,
    /// Costs, with their units. The first ones, all of one unit, are plotted.
    pub costs: &'static [&'static str],
    /// How many of the costs are plotted.
    pub plotted: usize,
    /// How large it was, and what each cost was then.
    pub points: Vec<(f64, Vec<f64>)>,
}

impl Curve {
    /// Adds a point, and says on standard error that there is one more.
    pub fn add(&mut self, size: f64, costs: Vec<f64>) {
        assert_eq!(costs.len(), self.costs.len());
        eprintln!("{}: {} {size}: {costs:?}", self.name, self.of);
        self.points.push((size, costs));
    }

    /// Prints the table, and plots on logarithmic scales, where a straight line that rises by as much as it
    /// goes to the right is a cost that grows with the size.
    pub fn show(&self) {
        println!("| {} | {} |", self.of, self.costs.join(" | "));
        println!("| --- |{}", " --- |".repeat(self.costs.len()));
        for (size, costs) in &self.points {
            let costs: Vec<String> = costs.iter().map(|&cost| short(cost)).collect();
            println!("| {} | {} |", short(*size), costs.join(" | "));
        }
        println!();
        let svg = self.plot().expect("there are points");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/growth");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{}.svg", self.name)), svg).expect("room on disk");
    }

    fn plot(&self) -> Result<String, Box<dyn std::error::Error>> {
        let plotted = |costs: &'_ [f64]| costs[..self.plotted].to_vec();
        let all: Vec<f64> = self
            .points
            .iter()
            .flat_map(|(_, costs)| plotted(costs))
            .collect();
        let sizes = || self.points.iter().map(|&(size, _)| size);
        let range = |low: f64, high: f64| low / 1.5..high * 1.5;
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MAX, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let x = range(least(&mut sizes()), most(&mut sizes()));
        let y = range(
            least(&mut all.iter().copied()),
            most(&mut all.iter().copied()),
        );
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&area)
                .margin(12)
                .x_label_area_size(40)
                .y_label_area_size(70)
                .build_cartesian_2d(x.log_scale(), y.log_scale())?;
            chart
                .configure_mesh()
                .x_desc(self.of)
                .x_label_formatter(&|value| short(*value))
                .y_label_formatter(&|value| short(*value))
                .draw()?;
            for (at, (cost, colour)) in self.costs[..self.plotted].iter().zip(COLOURS).enumerate() {
                let line = self.points.iter().map(|(size, costs)| (*size, costs[at]));
                chart
                    .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(3))?
                    .label(*cost)
                    .legend(move |(x, y)| {
                        Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled())
                    });
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .draw()?;
            area.present()?;
        }
        Ok(svg)
    }
}

/// Three digits are what such a measurement has.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    match text.strip_suffix(&format!(".{}", "0".repeat(digits))) {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}
