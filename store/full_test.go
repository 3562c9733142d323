package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine/disktest"
	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/resource"
)

// openOn opens a store on a small disk, which is measured often.
func openOn(t *testing.T, d *disktest.Disk) (*Store, *local.Engine) {
	t.Helper()
	e := openWith(t, local.Options{Dir: d.Dir, MeasureEvery: 20 * time.Millisecond, MemTable: 1 << 20})
	return openStore(t, e), e
}

// Two resources that are written as one, over and over, while another program
// fills the disk and gives it back: they are never seen apart, not by a reader,
// not by an observer, not in the folder as it is left; and what was confirmed
// stays.
func TestTransactionsAreWholeOnAFullDisk(t *testing.T) {
	d := disktest.New(t, 64<<20)
	s, e := openOn(t, d)
	var mu sync.Mutex
	seen := map[string]string{} // by the observer
	apart := 0
	s.Observe(func(cs []Change) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range cs {
			if c.New != nil {
				seen[c.New.ID.Name()] = valueOf(c.New)
			}
		}
		if seen["a"] != seen["b"] {
			apart++
		}
	})
	padding := strings.Repeat(".", 3000)
	write := func(n int) error {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		return s.Commit(ctx, func(tx resource.Tx) error {
			value := fmt.Sprintf("%d%s", n, padding)
			if a, ok := tx.Get(topicID("rg", "a")); ok {
				b, _ := tx.Get(topicID("rg", "b"))
				if valueOf(a) != valueOf(b) {
					return fmt.Errorf("%.8s and %.8s are not of one transaction", valueOf(a), valueOf(b))
				}
			}
			tx.Put(topic("rg", "a", value))
			tx.Put(topic("rg", "b", value))
			return nil
		})
	}
	n, confirmed := 0, 0
	// A little is left, in pages, so that a transaction may begin and not end.
	for round, left := range []int64{0, 4, 8, 9, 12, 15, 18} {
		for range 20 {
			n++
			if err := write(n); err != nil {
				t.Fatal(err)
			}
			confirmed = n
		}
		d.Fill(t, 4096*left)
		for refused := 0; refused < 3; {
			n++
			began := time.Now()
			err := write(n)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("round %d: answered after %v", round, took)
			}
			switch {
			case errors.Is(err, ErrNoSpace):
				refused++
			case err != nil:
				t.Errorf("round %d: %v", round, err)
				refused++
			default:
				confirmed = n
			}
		}
		d.Release(t)
		for end := time.Now().Add(20 * time.Second); e.Room() != nil && time.Now().Before(end); {
			n++
			switch err := write(n); {
			case err == nil:
				confirmed = n
			case !errors.Is(err, ErrNoSpace):
				t.Errorf("round %d, after it was released: %v", round, err)
			}
		}
		// What was refused may be there; what was confirmed must.
		a, _ := s.Get(topicID("rg", "a"))
		if got, err := strconv.Atoi(strings.TrimRight(valueOf(a), ".")); err != nil || got < confirmed {
			t.Errorf("round %d: %d is there, %d was confirmed (%v)", round, got, confirmed, err)
		}
	}
	n++
	if err := write(n); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if apart > 0 {
		t.Errorf("the observer saw them apart %d times", apart)
	}
	mu.Unlock()
	before := values(s, resource.ID{})
	if len(before) != 2 || before["a"] != before["b"] || before["a"] != fmt.Sprintf("%d%s", n, padding) {
		t.Errorf("got %.10q and %.10q, want %d", before["a"], before["b"], n)
	}
	s.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := openOn(t, d)
	if diff := cmp.Diff(before, values(again, resource.ID{})); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
