package access

import (
	"sync"
	"time"
)

const (
	throttlePeriod = time.Minute
	// throttleEach and throttleAll are how much is told per period: about one
	// source, and about all of them.
	throttleEach = 5
	throttleAll  = 100
	// throttleSources bounds the memory; what is beyond it shares one source.
	throttleSources = 1024
)

// Throttle keeps a log readable when somebody tries one credential after
// another: it says what is still news about a source, such as an address. The
// zero value is ready. It is safe for concurrent use.
type Throttle struct {
	Now func() time.Time // default time.Now

	mu      sync.Mutex // protects the fields below
	sources map[string]*throttled
	all     throttled
}

type throttled struct {
	began      time.Time
	told, held int
}

// News reports whether one more event about a source should be told. held is how
// many were not, since the last one that was.
func (t *Throttle) News(source string) (held int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	at := now()
	s := t.source(source, at)
	s.turn(at)
	t.all.turn(at)
	if s.told >= throttleEach || t.all.told >= throttleAll {
		s.held++
		return 0, false
	}
	s.told++
	t.all.told++
	held, s.held = s.held, 0
	return held, true
}

func (t *Throttle) source(name string, at time.Time) *throttled {
	if s := t.sources[name]; s != nil {
		return s
	}
	if t.sources == nil {
		t.sources = make(map[string]*throttled)
	}
	if len(t.sources) >= throttleSources {
		for n, s := range t.sources {
			if at.Sub(s.began) >= throttlePeriod && s.held == 0 {
				delete(t.sources, n)
			}
		}
	}
	if len(t.sources) >= throttleSources {
		name = ""
		if s := t.sources[name]; s != nil {
			return s
		}
	}
	s := &throttled{began: at}
	t.sources[name] = s
	return s
}

// turn begins a new period when the last one is over.
func (s *throttled) turn(at time.Time) {
	if at.Sub(s.began) >= throttlePeriod {
		s.began, s.told = at, 0
	}
}
