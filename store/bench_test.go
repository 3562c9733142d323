package store

import (
	"fmt"
	"testing"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/resource"
)

// BenchmarkCommit measures a durable, visible transaction: one resource, and
// two as a channel and its partner topic are.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("resources=%d", n), func(b *testing.B) {
			s := openStore(b, openWith(b, local.Options{Dir: b.TempDir()}))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				commit(b, s, func(tx resource.Tx) error {
					for k := range n {
						tx.Put(topic("rg", fmt.Sprint("t", i%1000, k), "x"))
					}
					return nil
				})
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := newStore(b)
	commit(b, s, func(tx resource.Tx) error {
		for i := range 900 {
			tx.Put(topic("rg", fmt.Sprint("t", i), "x"))
		}
		return nil
	})
	id := topicID("rg", "t500")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Get(id); !ok {
			b.Fatal("missing")
		}
	}
}
