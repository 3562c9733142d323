package local_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/local"
)

// TestDamageToALongLog: after a power cut, when the number of acknowledged writes may
// be behind, a flipped bit in the log is told from its end by what was synced after
// it: in the log that a new folder begins with as in any other. Only in its last block
// it cannot be told.
func TestDamageToALongLog(t *testing.T) {
	const n = 200
	for name, lives := range map[string]int{"of a new folder": 1, "of a second start": 2} {
		t.Run(name, func(t *testing.T) {
			fs := newMemory(t)
			open := func(fs *vfs.MemFS) (*local.Engine, error) {
				return local.Open(context.Background(), local.Options{Dir: dataDir, FS: memFS{fs}})
			}
			var left *vfs.MemFS
			for life := range lives {
				e, err := open(fs)
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					if err := e.Append(t.Context(), fmt.Append(nil, life, i, strings.Repeat("x", 700)), 1); err != nil {
						t.Fatal(err)
					}
				}
				left = fs.CrashClone(vfs.CrashCloneCfg{})
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			}
			for _, file := range filesOf(t, left, dataDir) {
				if !strings.HasSuffix(file, ".log") {
					continue
				}
				before := contentOf(t, left, file)
				for offset := 100; offset < len(before); offset += 5000 {
					d := damage{file, before, offset, offset % 8}
					damaged := copyOf(left)
					if err := d.do(damaged); err != nil {
						t.Fatal(err)
					}
					e, err := open(damaged)
					if _, ok := errors.AsType[*engine.LossError](err); ok {
						continue
					}
					if err != nil {
						t.Fatalf("%v: %v", d, err)
					}
					if got := e.Counts().Records; got < int64(n*lives-1) && !inLastBlock(offset, before) {
						t.Errorf("%v: %d of %d records are left, and nobody is told", d, got, n*lives)
					}
					if err := e.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}
