package enginetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/engine"
)

// appending tests what Append promises.
var appending = []check{
	{"InOrder", bothEndings(func(s *site, end func()) {
		for i := range 20 {
			s.append(name("r", i), 1+i%3)
		}
		end()
		for i, r := range s.events().next(20) {
			if r.data != name("r", i) || r.count != 1+i%3 {
				s.t.Errorf("record %d is %q with %d events", i, r.data, r.count)
			}
		}
	})},
	{"KeepsNothingOfData", bothEndings(func(s *site, end func()) {
		data := []byte("as it was")
		s.must(s.Append(s.ctx(), data, 1))
		copy(data, "rewritten")
		if got := s.events().one().data; got != "as it was" {
			s.t.Errorf("handed out %q", got)
		}
		end()
		if got := s.events().one().data; got != "as it was" {
			s.t.Errorf("handed out %q afterwards", got)
		}
	})},
	{"Concurrent", bothEndings(concurrentAppends)},
	{"LargestRecord", bothEndings(func(s *site, end func()) {
		largest := strings.Repeat("0123456789abcdef", engine.MaxRecord/16)
		s.append(largest, 1)
		s.is(s.Append(s.ctx(), append([]byte(largest), 'x'), 1), engine.ErrTooLarge)
		s.append("next", 1)
		end()
		got := s.events().next(2)
		if got[0].data != largest || got[1].data != "next" {
			s.t.Errorf("handed out %d bytes and %q", len(got[0].data), got[1].data)
		}
	})},
	{"OneByteEach", func(s *site) {
		r := s.events()
		all := bytes.Repeat([]byte{0, 0xff, '\n'}, 30)
		for i := range all {
			s.must(s.Append(s.ctx(), all[i:i+1], 1))
		}
		for i, got := range r.next(len(all)) {
			if got.data != string(all[i:i+1]) {
				s.t.Errorf("record %d is %q", i, got.data)
			}
		}
	}},
	{"ContextEnds", bothEndings(func(s *site, end func()) {
		// Whether the record was stored is open, but it is at most once, and whole.
		ended, cancel := context.WithCancel(s.ctx())
		cancel()
		stored := 0
		for i := range 20 {
			ctx, cancel := ended, cancel
			if i%2 == 0 {
				ctx, cancel = context.WithTimeout(s.ctx(), time.Duration(i)*10*time.Microsecond)
			}
			switch err := s.Append(ctx, []byte(name("r", i)), 1); {
			case err == nil:
				stored++
			case !errors.Is(err, ctx.Err()) || ctx.Err() == nil:
				s.t.Errorf("got %v when the context said %v", err, ctx.Err())
			}
			cancel()
		}
		s.append("last", 1)
		end()
		seen := map[string]int{}
		for b := s.events(); seen["last"] == 0; {
			seen[b.one().data]++
		}
		for data, n := range seen {
			if n > 1 || data != "last" && !strings.HasPrefix(data, "r-000") {
				s.t.Errorf("%q was handed out %d times", data, n)
			}
		}
		if len(seen)-1 < stored {
			s.t.Errorf("%d were acknowledged, %d are there", stored, len(seen)-1)
		}
	})},
	{"BehindABusyReader", func(s *site) {
		// Whoever publishes does not wait for whoever matches.
		hold, e := make(chan struct{}), s.Engine
		b := read(s, func(ctx context.Context, put func(...record)) error {
			return e.Events(ctx, func(r engine.Record) {
				put(record{data: string(r.Data)})
				<-hold
			})
		})
		defer close(hold)
		s.append("holds", 1)
		b.one()
		s.must(within(s, "Append beside a handler that blocks", func() error {
			for i := range 100 {
				if err := s.Append(s.ctx(), []byte(name("r", i)), 1); err != nil {
					return err
				}
			}
			return nil
		}))
	}},
}

func (s *site) append(data string, count int) {
	s.t.Helper()
	if err := s.Append(s.ctx(), []byte(data), count); err != nil {
		s.t.Fatalf("append %.20q: %v", data, err)
	}
}

// appendOne appends a record of its own and returns it as it is handed out.
func (s *site) appendOne(b *inbox[record], data string, count int) record {
	s.t.Helper()
	s.append(data, count)
	r := b.one()
	if r.data != data || r.count != count || r.settled != nil {
		s.t.Fatalf("appended %q with %d events, got %+v", data, count, r)
	}
	return r
}

// concurrentAppends: each once, those of one caller in the order of its calls, and
// the next engine hands them out in the order of the first.
func concurrentAppends(s *site, end func()) {
	const callers, each = 8, 40
	b := s.events()
	var calls sync.WaitGroup
	for c := range callers {
		calls.Go(func() {
			for i := range each {
				if err := s.Append(s.ctx(), []byte(name("abcdefgh"[c:c+1], i)), 1); err != nil {
					s.t.Errorf("append: %v", err)
				}
			}
		})
	}
	calls.Wait()
	first := b.next(callers * each)
	b.quiet()
	last := map[string]string{}
	for _, r := range first {
		if by := r.data[:1]; r.data <= last[by] {
			s.t.Fatalf("%s came after %s", r.data, last[by])
		} else {
			last[by] = r.data
		}
	}
	end()
	b = s.events()
	for i, r := range b.next(callers * each) {
		if r.data != first[i].data {
			s.t.Fatalf("record %d is %s now, and was %s", i, r.data, first[i].data)
		}
	}
	b.quiet()
}
