// Package folder owns the data folder of one process: that nobody else has it
// open, which format it has, and whether a first start was ever completed in it.
//
// # A first start
//
// A first start makes small files (keys, certificates, the Owner's secret) and
// then the state that they belong to. Cut off in the middle it leaves the files
// beside an empty state, and so does a state that was lost: the former has to go
// on, the latter must not be taken for a new installation. So a first start says
// that it is one before it makes anything, and writes the format as its last
// step:
//
//	Open ─▶ is there a state? Leftovers? ─▶ Begin ─▶ files, state ─▶ Commit ─▶ ready
//
// What [Folder.New], [Folder.Unfinished] and [Folder.Leftovers] say is for the
// caller to judge: it alone knows the state, which may be elsewhere.
//
// The package knows files. It must not know what is in them, nor the engines.
package folder
