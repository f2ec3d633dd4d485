//! Tables, as Markdown and as HTML.

use std::fmt::Write;

/// A table. The first cell of a row says what the row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub title: String,
    /// What the numbers are.
    pub about: String,
    pub headings: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: &str, about: &str, headings: &[&str]) -> Table {
        Table {
            title: title.into(),
            about: about.into(),
            headings: headings.iter().map(|&heading| heading.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.about);
        text.push_str(&line(&self.headings));
        text.push_str(&line(&vec!["---".to_owned(); self.headings.len()]));
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }

    pub fn html(&self) -> String {
        let mut html = format!(
            "<h2>{}</h2>\n<p>{}</p>\n<table>\n",
            escaped(&self.title),
            escaped(&self.about)
        );
        row(&mut html, "th", &self.headings);
        for cells in &self.rows {
            row(&mut html, "td", cells);
        }
        html.push_str("</table>\n");
        html
    }
}

fn row(html: &mut String, element: &str, cells: &[String]) {
    html.push_str("<tr>");
    for cell in cells {
        // A string takes everything.
        let _ = write!(
            html,
            "<{element}>{}</{element}>",
            emphasised(&escaped(cell))
        );
    }
    html.push_str("</tr>\n");
}

/// What is bold in Markdown is bold here too.
fn emphasised(text: &str) -> String {
    match text
        .strip_prefix("**")
        .and_then(|text| text.strip_suffix("**"))
    {
        Some(text) => format!("<b>{text}</b>"),
        None => text.to_owned(),
    }
}

/// As text of an HTML document: labels come from files that anybody can write.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            rows: vec![vec!["a|b <i>".into(), "**0.5**".into()]],
            ..Table::new("Title & more", "About.", &["method", "ARI"])
        }
    }

    #[test]
    fn a_label_is_no_markup() {
        assert!(table().markdown().contains("| a\\|b <i> | **0.5** |\n"));
        let html = table().html();
        assert!(
            html.contains("<td>a|b &lt;i&gt;</td><td><b>0.5</b></td>"),
            "{html}"
        );
        assert!(html.contains("<h2>Title &amp; more</h2>"), "{html}");
    }
}
