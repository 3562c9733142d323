package arm

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/resource"
)

// shares hands out a bounded amount of something that requests need while they are
// under way, so much to one subscription and so much to all together. It is safe
// for concurrent use.
type shares struct {
	each, all int
	patience  time.Duration // how long a request waits for its share

	mu    sync.Mutex // protects the fields below
	taken map[string]int
	total int
	freed chan struct{} // closed when something comes back, while somebody waits
}

func newShares(each, all int) *shares {
	return &shares{each: each, all: all, patience: sharePatience, taken: map[string]int{}}
}

// sharePatience is how long a request waits for its share before it is told to come
// again: shorter than clients wait for an answer.
const sharePatience = 10 * time.Second

// take is wait for a request: not for ever.
func (s *shares) take(ctx context.Context, subscription string, n int) (giveBack func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.wait(ctx, subscription, n)
}

// wait waits for n for a subscription. What it returns gives them back and must be
// called once. More than there is for one subscription counts as all of it.
func (s *shares) wait(ctx context.Context, subscription string, n int) (giveBack func(), err error) {
	key := strings.ToLower(subscription)
	n = min(n, s.each)
	for {
		freed := s.try(key, n)
		if freed == nil {
			return func() { s.give(key, n) }, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try takes n, or returns what to wait for.
func (s *shares) try(key string, n int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key]+n > s.each || s.total+n > s.all {
		if s.freed == nil {
			s.freed = make(chan struct{})
		}
		return s.freed
	}
	s.taken[key] += n
	s.total += n
	return nil
}

func (s *shares) give(key string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count(s.taken, key, -n)
	s.total -= n
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}

const (
	// largeBody is from where on a body counts among the large ones.
	largeBody = 64 << 10
	// A large body takes many times its size while it is read and checked.
	largeBodies, largeBodiesEach = 16 << 20, 8 << 20
	// An evaluation keeps a processor busy, and up to 64 MB.
	evaluations, evaluationsEach = 4, 2
)

// evaluate waits until a template may be read and evaluated, which it then may until
// the request ends.
func (h *Handler) evaluate(rq *request, subscription string) error {
	giveBack, err := h.evaluations.take(rq.http.Context(), subscription, 1)
	if err != nil {
		return busy(rq, err, "There are too many templates being evaluated")
	}
	rq.held = append(rq.held, giveBack)
	return nil
}

// busy is the answer to a request that did not get its share in time. One whose
// caller has gone gets that error instead.
func busy(rq *request, err error, what string) error {
	if rq.http.Context().Err() != nil {
		return err
	}
	rq.out.Header().Set("Retry-After", "10")
	return resource.Errorf(codeTooManyRequests, "%s at the moment; try again later.", what)
}
