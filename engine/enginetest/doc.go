// Package enginetest is the suite that every implementation of package engine
// must pass: each operation of the contract and each sentence of its comments.
//
// An implementation hands in a [Harness], which makes places; a [Place] is what
// survives a crash: a folder, a file system in memory, the streams of a cluster.
// Most tests open an engine on a new place, use it, end it, by closing it or by
// crashing, and look at what the next one hands out. Two do it at random: Random
// against a model that says of each thing whether it must, may or must not come
// back, with an end between any two operations, and Storm with everything at
// once and a crash in the middle.
//
// Nothing here sleeps: a test waits until something has come, with a patience
// that only a fault uses up. That nothing comes can be watched for a moment only;
// such a test can overlook a fault, but not invent one.
package enginetest
