package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a file system in memory with an empty data folder.
func memory(t testing.TB) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll(dataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	return fs
}

const dataDir = "/data"

// openEngine opens the engine of a file system; it ends with the test, or before
// when the test closes it.
func openEngine(t testing.TB, fs vfs.FS) *local.Engine {
	t.Helper()
	return openWith(t, local.Options{Dir: dataDir, FS: fs})
}

func openWith(t testing.TB, o local.Options) *local.Engine {
	t.Helper()
	e, err := local.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func testKey(first byte) []byte { return append(bytes.Repeat([]byte{7}, masterKeyBytes-1), first) }

func options(t testing.TB, e engine.Resources) Options {
	t.Helper()
	sealer, err := NewSealer(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	return Options{Engine: e, Sealer: sealer, Logger: slog.New(slog.DiscardHandler)}
}

func openStore(t testing.TB, e engine.Resources) *Store {
	t.Helper()
	s, err := Open(t.Context(), options(t, e))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newStore is a store on an engine of its own.
func newStore(t testing.TB) *Store {
	t.Helper()
	return openStore(t, openEngine(t, memory(t)))
}

const testType = "Microsoft.EventGrid/partnerTopics"

func groupID(group string) resource.ID { return resource.GroupID("s1", group) }

func topicID(group, name string) resource.ID { return groupID(group).Provider(testType, name) }

// topic is a resource whose properties hold a value to look at.
func topic(group, name, value string) *resource.Resource {
	return &resource.Resource{
		ID: topicID(group, name), UID: resource.NewUID(), Type: testType, Location: "westeurope",
		Properties: fmt.Appendf(nil, `{"value":%q}`, value),
		CreatedAt:  time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), CreatedBy: "me",
		ModifiedAt: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), ModifiedBy: "you",
	}
}

func put(t testing.TB, s *Store, rs ...*resource.Resource) {
	t.Helper()
	commit(t, s, func(tx resource.Tx) error {
		for _, r := range rs {
			tx.Put(r)
		}
		return nil
	})
}

func remove(t testing.TB, s *Store, ids ...resource.ID) {
	t.Helper()
	commit(t, s, func(tx resource.Tx) error {
		for _, id := range ids {
			tx.Delete(id)
		}
		return nil
	})
}

func commit(t testing.TB, s *Store, fn func(resource.Tx) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Commit(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

// values maps the name of each topic to its value.
func values(s interface {
	List(string, resource.ID) []*resource.Resource
}, scope resource.ID,
) map[string]string {
	out := make(map[string]string)
	for _, r := range s.List(testType, scope) {
		out[r.ID.Name()] = valueOf(r)
	}
	return out
}

func valueOf(r *resource.Resource) string {
	p, err := resource.Properties[struct {
		Value string `json:"value"`
	}](r)
	if err != nil {
		return err.Error()
	}
	return p.Value
}

// catchUp waits until one node knows what another one does.
func catchUp(t testing.TB, behind, ahead *Store) {
	t.Helper()
	position, err := ahead.position()
	if err != nil {
		t.Fatal(err)
	}
	if err := behind.waitUntil(t.Context(), func() bool { return behind.applied >= position }); err != nil {
		t.Fatal(err)
	}
}

// putRaw writes values as they are.
func putRaw(t testing.TB, e engine.Resources, s *Store, writes ...engine.Write) {
	t.Helper()
	position, err := s.position()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(t.Context(), position, writes); err != nil {
		t.Fatal(err)
	}
}
