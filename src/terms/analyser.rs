//! stub
use super::SalienceParams;
/// stub
pub struct Analyser;
/// stub
pub struct Analysis;
impl Analyser {
    /// stub
    pub fn new(_: &SalienceParams) -> Analyser {
        Analyser
    }
}
