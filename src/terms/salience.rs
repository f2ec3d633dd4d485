//! stub
/// stub
pub struct Evidence;
/// stub
pub fn salience(_: &Evidence, _: &super::SalienceParams) -> f64 {
    0.0
}
