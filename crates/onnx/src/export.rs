//! Models of noyau as ONNX files.
