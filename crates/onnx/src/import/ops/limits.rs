//! What operations that are supported do not do.

/// What an operation does not do, or does otherwise than its specification says; `None` where nothing is known of. What holds for all of them is in `docs/ONNX.md`.
pub fn limits(op: &str) -> Option<&'static str> {
    LIMITS.iter().find(|(name, _)| *name == op).map(|(_, text)| *text)
}

const LIMITS: &[(&str, &str)] = &[
    ("Attention", "softmax in f32 whatever `softmax_precision` says"),
    ("BatchNormalization", "`spatial` = 0 not"),
    ("BitShift", "up to 32 bits"),
    ("BitwiseAnd", "up to 32 bits"),
    ("BitwiseNot", "up to 32 bits"),
    ("BitwiseOr", "up to 32 bits"),
    ("BitwiseXor", "up to 32 bits"),
    ("Cast", "not strings, nor floats of 8 bits and fewer"),
    ("CastLike", "as Cast"),
    ("Compress", "the condition known while tracing"),
    ("Conv", "of three axes and more: all but two written out"),
    ("ConvTranspose", "as Conv"),
    ("CumProd", "the axis known while tracing"),
    ("CumSum", "the axis known while tracing"),
    ("DequantizeLinear", "8, 16 and 32 bits; no blocks"),
    ("Dropout", "ratio and mode known while tracing; random numbers are noyau's own"),
    ("If", "by data: both branches are computed, of results of one shape"),
    ("Loop", "count known while tracing; written out"),
    ("MatMulInteger", "exact up to sums of 2^24"),
    ("MaxUnpool", "without `output_shape`"),
    ("NonZero", "of constants"),
    ("Pow", "integers by way of f32 unless the exponent is a constant of 1 to 16"),
    ("QuantizeLinear", "to 8 and 16 bits; no blocks"),
    ("Range", "known while tracing"),
    ("Resize", "scales, sizes and region known while tracing"),
    ("Scan", "from version 9 on; written out"),
    ("Scatter", "as ScatterElements"),
    ("ScatterElements", "`add` of floats any number; other reductions up to 2^22 combinations"),
    ("ScatterND", "as ScatterElements"),
    ("GRU", "written out for each time step"),
    ("LSTM", "written out for each time step"),
    ("RNN", "written out for each time step"),
    ("SequenceMap", "written out"),
    ("TopK", "k known while tracing; always sorted"),
];
