// Package store keeps resources: durable in the engine, and complete in memory for
// reading.
//
// Every process reads all of them into a snapshot and follows the engine's
// transactions, so reads never leave the process and another node's writes appear
// by themselves.
//
// [Store.Commit] changes several resources as one unit, also across a crash. A
// transaction takes effect only if nobody else has written since it began;
// otherwise its function decides again. So rules may rely on whatever they read,
// with any number of nodes.
//
// What must not be readable in a copied data folder (keys, endpoint URLs,
// secret headers) is sealed with a master key before it is written.
//
// The package knows nothing of HTTP, of what the resources mean, and of any
// storage.
package store
