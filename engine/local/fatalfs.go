package local

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fatalFS stands between Pebble and the file system for the few operations whose
// errors Pebble answers with a panic: all that writes a log, moving a marker, syncing
// a folder. Such an error fails the engine, with its reason, and does not return.
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
	log, marker := strings.HasSuffix(base, ".log"), strings.HasPrefix(base, "marker.")
	if marker {
		// What a marker points at must be found wherever the marker is: Pebble syncs
		// both at once, and not every file system keeps to the order.
		if err := syncDir(f, f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	file, err := create()
	switch {
	case err != nil && (log || marker) && f.e.opened.Load():
		f.e.never(fmt.Errorf("make %s: %w", name, err))
	case err == nil && log:
		return fatalLog{file, f.e, name}, nil
	}
	return file, err
}

// fatalLog is a log, which Pebble cannot do without.
type fatalLog struct {
	vfs.File
	e    *Engine
	name string
}

func (l fatalLog) must(what string, err error) error {
	if err != nil && l.e.opened.Load() {
		l.e.never(fmt.Errorf("%s %s: %w", what, l.name, err))
	}
	return err
}

// Write implements [vfs.File].
func (l fatalLog) Write(b []byte) (int, error) {
	n, err := l.File.Write(b)
	return n, l.must("write", err)
}

// Sync implements [vfs.File].
func (l fatalLog) Sync() error { return l.must("sync", l.File.Sync()) }

// SyncData implements [vfs.File].
func (l fatalLog) SyncData() error { return l.must("sync", l.File.SyncData()) }

// Close implements [vfs.File].
func (l fatalLog) Close() error { return l.must("close", l.File.Close()) }

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
	if err != nil && d.e.opened.Load() && !errors.Is(err, os.ErrClosed) {
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
