// Package atomicfile writes small files that must survive a power cut: keys,
// certificates, settings. After a crash at any moment such a file holds the old
// or the new content as a whole, and once a call has returned, the new one.
//
// A rename alone does not do that. The content has to be synced before it, or
// the name may come to point at an empty file, and the folder after it, or the
// old name may come back.
//
// The package knows files and nothing else of the program.
package atomicfile
