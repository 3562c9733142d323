// Package blob keeps dead letters: it says how a dead-letter blob is named, what
// a record in it looks like, and writes blobs into a folder or into Azure Blob
// Storage.
//
//	event + Record → AppendRecord … → Array → Name → Store.Put
//
// Names and records are pure functions, so that whoever writes dead letters can
// bundle as many records into a blob as it likes. The package does not know
// when an event is given up, nor which account or container is meant for it.
package blob
