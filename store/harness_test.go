package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

func TestMain(m *testing.M) {
	// nats-server leaves this one behind for a batch that it could not write.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"))
}

// openEngine starts an embedded engine in dir; it ends with the test, or before
// when the test closes it.
func openEngine(t testing.TB, dir string) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{Dir: dir})
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

func options(t testing.TB, e *engine.Engine) Options {
	t.Helper()
	sealer, err := NewSealer(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	return Options{Conn: e.Conn(), JS: e.JetStream(), Sealer: sealer, Logger: slog.New(slog.DiscardHandler)}
}

func openStore(t testing.TB, e *engine.Engine) *Store {
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
	return openStore(t, openEngine(t, t.TempDir()))
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
	seq, err := ahead.position()
	if err != nil {
		t.Fatal(err)
	}
	if err := behind.waitFor(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
}
