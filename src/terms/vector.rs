//! stub
/// stub
pub struct TermVector;
/// stub
pub struct QuantisedVector;
