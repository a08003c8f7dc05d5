// The letters used for dimensions in every comment and signature below model/.
//
//   N  tokens of a batch, all rows and packed sequences laid end to end     C  hidden size
//   H  query heads     K  key/value heads (H is a multiple of K)            D  size of one head
//   F  inner size of the MLP     V  vocabulary     R  rank of an adapter
//
// Activations are row-major with one row per token, in f32 or bf16 ("act"); statistics, parameters that are trained
// and all gradients of parameters are f32. Arithmetic happens in f32, sums over tokens in a fixed order, so that a
// result depends on the thread count only where a header says so.
#pragma once
