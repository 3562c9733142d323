package local_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/enginetest"
	"github.com/intertie/intertie/engine/local"
)

func TestMain(m *testing.M) {
	if os.Getenv(apartEnv) != "" {
		os.Exit(m.Run()) // engines that have failed leave things running
	}
	goleak.VerifyTestMain(m)
}

// smallTables makes the database write tables and compact them.
const smallTables = 256 << 10

func TestConformanceAfterPowerCuts(t *testing.T) {
	enginetest.Run(t, enginetest.Harness{
		New: func(t testing.TB) enginetest.Place {
			return &memoryPlace{fs: newMemory(t)}
		},
		Atomic: true, SettledSurvives: true,
	})
}

func TestConformanceAfterKills(t *testing.T) {
	enginetest.Run(t, enginetest.Harness{
		New: func(t testing.TB) enginetest.Place {
			return &diskPlace{t: t, dir: t.TempDir(), running: make(map[engine.Engine]*freezer)}
		},
		Atomic: true, SettledSurvives: true, Checks: 20,
	})
}

// dataDir is the data folder in memory.
const dataDir = "/data"

// newMemory returns a file system that forgets what was not synced, with an empty
// data folder.
func newMemory(t testing.TB) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	if err := errors.Join(fs.MkdirAll(dataDir, 0o700), syncFolder(fs, "/")); err != nil {
		t.Fatal(err)
	}
	return fs
}

func syncFolder(fs vfs.FS, path string) error {
	d, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// clock is one that tests set.
type clock struct{ shift atomic.Int64 }

func (c *clock) Now() time.Time        { return time.Now().Add(time.Duration(c.shift.Load())) }
func (c *clock) Shift(d time.Duration) { c.shift.Add(int64(d)) }

// memoryPlace lies in memory. A crash is a power cut: exactly what was synced is
// there afterwards.
type memoryPlace struct {
	clock
	fs *vfs.MemFS
}

func (p *memoryPlace) Open(ctx context.Context) (engine.Engine, error) {
	return opened(local.Open(ctx, local.Options{
		Dir: dataDir, FS: memFS{p.fs}, Now: p.Now, MemTable: smallTables, MeasureEvery: time.Millisecond,
	}))
}

// opened keeps a nil pointer from becoming an interface.
func opened(e *local.Engine, err error) (engine.Engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (p *memoryPlace) Crash(e engine.Engine) {
	p.fs = p.fs.CrashClone(vfs.CrashCloneCfg{})
	_ = e.Close()
}

func (p *memoryPlace) Fill(_ engine.Engine, full bool) {
	u := vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 2 << 30, UsedBytes: 1 << 30}
	if full {
		u.AvailBytes, u.UsedBytes = 1<<20, 2<<30-1<<20
	}
	p.fs.TestingSetDiskUsage(u)
}

// diskPlace lies in a real folder. A crash is a kill: what was written is there
// afterwards, synced or not.
type diskPlace struct {
	clock
	t   testing.TB
	dir string

	running map[engine.Engine]*freezer
}

func (p *diskPlace) Open(ctx context.Context) (engine.Engine, error) {
	f := &freezer{}
	e, err := opened(local.Open(ctx, local.Options{
		Dir: p.dir, FS: errorfs.Wrap(vfs.Default, f), Now: p.Now, MemTable: smallTables,
	}))
	p.running[e] = f
	return e, err
}

// Crash copies the folder in a moment in which nothing begins to be written, so that
// whatever a copied file has was written after all it relies on, and leaves the
// former folder to the engine.
func (p *diskPlace) Crash(e engine.Engine) {
	f := p.running[e]
	delete(p.running, e)
	f.mu.Lock()
	dir := p.t.TempDir()
	err := os.CopyFS(dir, os.DirFS(p.dir))
	f.mu.Unlock()
	if err != nil {
		p.t.Errorf("copy the folder: %v", err)
	}
	_ = e.Close()
	_ = os.RemoveAll(p.dir)
	p.dir = filepath.Clean(dir)
}

// freezer holds up what changes a file system while mu is locked.
type freezer struct{ mu sync.RWMutex }

func (f *freezer) String() string { return "freezer" }

func (f *freezer) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		f.mu.RLock()
		defer f.mu.RUnlock()
	}
	return nil
}
