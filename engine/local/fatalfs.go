package local

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fatalFS stands between Pebble and the file system for the few operations whose
// errors Pebble answers with a panic: making the next log, moving a marker, syncing
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
	vital := strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "marker.")
	file, err := create()
	if err != nil && vital && f.e.opened.Load() {
		f.e.never(fmt.Errorf("make %s: %w", name, err))
	}
	return file, err
}

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
