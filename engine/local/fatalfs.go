package local

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// fatalFS stands between Pebble and the file system for the few operations whose
// errors Pebble answers with a panic: all that writes a log, moving a marker, syncing
// a folder, and the last ones of an opening, behind which it has work in the
// background already. Such an error fails the engine, with its reason, and does not
// return.
type fatalFS struct {
	vfs.FS
	e *Engine
}

// Create implements [vfs.FS].
func (f fatalFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.made(name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

// ReuseForWrite implements [vfs.FS].
func (f fatalFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.made(name, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

func (f fatalFS) made(name string, create func() (vfs.File, error)) (vfs.File, error) {
	base := f.PathBase(name)
	marker := strings.HasPrefix(base, "marker.")
	needed := strings.HasSuffix(base, ".log") || temporary(base)
	if marker {
		// What a marker points at must be found wherever the marker is: Pebble syncs
		// both at once, and not every file system keeps to the order.
		if err := syncDir(f, f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	file, err := create()
	switch {
	case err != nil && (needed || marker):
		f.e.never(fmt.Errorf("make %s: %w", name, err))
	case err == nil && needed:
		return fatalFile{file, f.e, name}, nil
	}
	return file, err
}

// temporary says whether a file gets its name, OPTIONS-*, when it is written.
func temporary(base string) bool { return strings.HasSuffix(base, ".dbtmp") }

// Rename implements [vfs.FS].
func (f fatalFS) Rename(old, name string) error {
	err := f.FS.Rename(old, name)
	if err != nil && temporary(f.PathBase(old)) {
		f.e.never(fmt.Errorf("make %s: %w", name, err))
	}
	return err
}

// List implements [vfs.FS].
func (f fatalFS) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if err != nil && !oserror.IsNotExist(err) {
		f.e.never(fmt.Errorf("list the folder %s: %w", dir, err))
	}
	return names, err
}

// fatalFile is a file that Pebble cannot do without.
type fatalFile struct {
	vfs.File
	e    *Engine
	name string
}

func (l fatalFile) must(what string, err error) error {
	if err != nil {
		l.e.never(fmt.Errorf("%s %s: %w", what, l.name, err))
	}
	return err
}

// Write implements [vfs.File].
func (l fatalFile) Write(b []byte) (int, error) {
	n, err := l.File.Write(b)
	return n, l.must("write", err)
}

// Sync implements [vfs.File].
func (l fatalFile) Sync() error { return l.must("sync", l.File.Sync()) }

// SyncData implements [vfs.File].
func (l fatalFile) SyncData() error { return l.must("sync", l.File.SyncData()) }

// Close implements [vfs.File].
func (l fatalFile) Close() error { return l.must("close", l.File.Close()) }

// OpenDir implements [vfs.FS].
func (f fatalFS) OpenDir(name string) (vfs.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return fatalDir{d, f.e, name}, nil
}

// Unwrap implements [vfs.FS].
func (f fatalFS) Unwrap() vfs.FS { return f.FS }

// fatalDir is a folder whose sync must not fail.
type fatalDir struct {
	vfs.File
	e    *Engine
	name string
}

// Sync implements [vfs.File].
func (d fatalDir) Sync() error {
	err := d.File.Sync()
	if err != nil && !errors.Is(err, os.ErrClosed) {
		d.e.never(fmt.Errorf("sync the folder %s: %w", d.name, err))
	}
	return err
}

// never fails the engine and does not return: who called would go on with what is
// broken.
func (e *Engine) never(err error) {
	e.fail(err)
	select {}
}
