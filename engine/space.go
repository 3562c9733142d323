package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// ErrNoSpace is wrapped by what [Engine.Room], [Space.Take] and [Space.TakeOwn]
// return: the file system of the data folder is close to full, or does not take
// writes at present. It ends by itself when there is space again.
var ErrNoSpace = errors.New("no room to store anything")

const (
	// The default reserve is an eighth of the file system within these bounds:
	// enough for what is under way when it is reached and for nats-server's own
	// files, and not so much that a laptop's last gigabytes are of no use.
	minReserve = 16 << 20
	maxReserve = 256 << 20
	// unmeasured stands for free space that nobody has measured.
	unmeasured = 1 << 62
)

// Space keeps the file system of the data folder from running full by our own
// hand. Below the reserve what comes from outside is refused; what this program
// moves from one owner to the next goes on, since it frees space in the end, down
// to half the reserve; and what is done is cut off, which writes a little before
// it frees much, down to a quarter. What is left then is for nats-server's own
// files: a stream that cannot write once stops for good (see supervisor.go).
//
// Free space is measured from time to time. In between everything that is about
// to be written is taken off, so that a burst cannot outrun the measuring.
//
// A Space is safe for concurrent use; its methods do not block. That of an
// external NATS refuses nothing.
type Space struct {
	outside bool  // the storage is not ours to watch
	reserve int64 // of Options
	logger  *slog.Logger
	now     func() // measures
	hurry   func() // asks for a measurement soon

	// What is free is base-taken: what was free when it was measured, less what
	// was taken since, and less what was taken before and not written by then.
	base, taken, put atomic.Int64
	mark             atomic.Int64 // free bytes below which what comes from outside is refused
	level            atomic.Int32

	refused, refusedOwn, refusedFreeing atomic.Uint64

	// mu protects the fields below, and changes of level.
	mu       sync.Mutex
	measured int64 // free bytes at the last measurement
	broken   error // what fail said
	failed   chan struct{}
}

// The levels of a Space: what is taken.
const (
	everything  int32 = iota
	ownOnly           // what the program moves
	freeingOnly       // what frees space
	nothing
)

func newSpace(reserve int64, logger *slog.Logger, now, hurry func()) *Space {
	s := &Space{reserve: reserve, logger: logger, now: now, hurry: hurry, failed: make(chan struct{})}
	s.base.Store(unmeasured)
	return s
}

// markFor is the mark on a file system of total bytes.
func markFor(reserve, total int64) int64 {
	if reserve == 0 {
		reserve = min(max(total/8, minReserve), maxReserve)
	}
	return min(reserve, total/2) // or a small file system would never be used
}

// below is the mark under which a level is reached.
func below(mark int64, level int32) int64 {
	switch level {
	case ownOnly:
		return mark
	case freeingOnly:
		return mark / 2
	default:
		return mark / 4
	}
}

// reopen is how much must be free for a mark to be left behind again.
func reopen(mark int64) int64 { return mark + mark/4 }

// Take admits n bytes that come from outside and are to be written, or refuses
// them with an error that wraps [ErrNoSpace]. What was admitted must be given
// back by one Put when it is written or never will be.
func (s *Space) Take(n int) error {
	return s.take(int64(n), ownOnly, &s.refused)
}

// TakeOwn is Take for what this program moves from one place to another.
func (s *Space) TakeOwn(n int) error {
	return s.take(int64(n), freeingOnly, &s.refusedOwn)
}

// TakeToFree is Take for what frees space, of which n bytes are written first. It
// measures: cutting off what is done on a full disk can hang nats-server.
func (s *Space) TakeToFree(n int) error {
	if !s.outside {
		s.now()
	}
	return s.take(int64(n), nothing, &s.refusedFreeing)
}

// take admits n bytes unless the level is at least refuseAt, or would be.
func (s *Space) take(n int64, refuseAt int32, refused *atomic.Uint64) error {
	if s.outside {
		return nil
	}
	if s.level.Load() < refuseAt {
		left := s.base.Load() - s.taken.Add(n)
		if left >= below(s.mark.Load(), refuseAt) {
			return nil
		}
		s.taken.Add(-n)
		s.mu.Lock()
		if s.level.Load() < refuseAt {
			s.setLevel(refuseAt, left)
		}
		s.mu.Unlock()
		s.hurry()
	}
	refused.Add(1)
	return s.reason()
}

// Put says that n bytes that were taken are written, or will not be.
func (s *Space) Put(n int) {
	if !s.outside {
		s.put.Add(int64(n))
	}
}

// Failed returns a channel that is closed once the storage has failed: what is
// under way then may not be answered any more, and may or may not be stored. When
// the storage works again Failed returns another channel.
func (s *Space) Failed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Room returns why nothing from outside is taken at present, or nil.
func (s *Space) Room() error {
	if s.level.Load() == everything {
		return nil
	}
	return s.reason()
}

func (s *Space) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return fmt.Errorf("%w: %w", ErrNoSpace, s.broken)
	}
	return fmt.Errorf("%w: %d MB are free, %d MB are kept in reserve", ErrNoSpace, s.measured>>20, s.mark.Load()>>20)
}

// measure takes note of what is free on a file system of total bytes. putBefore
// is what was put before it was read: that much of what was taken is in it.
func (s *Space) measure(free, total, putBefore int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := markFor(s.reserve, total)
	s.measured = free
	s.mark.Store(mark)
	s.base.Store(free + putBefore)
	if s.broken != nil {
		return // until recovered nothing is taken, whatever is free
	}
	left := free + putBefore - s.taken.Load()
	level := s.level.Load()
	for level < nothing && left < below(mark, level+1) {
		level++
	}
	for level > everything && left >= reopen(below(mark, level)) {
		level--
	}
	s.setLevel(level, left)
}

// setLevel logs what an operator must know: that it closed, and that it opened.
// s.mu is held.
func (s *Space) setLevel(level int32, left int64) {
	before := s.level.Swap(level)
	switch {
	case level == before:
	case level == everything:
		s.logger.Info("there is room on disk again: publishing and changes are taken", "free_bytes", left)
	case before == everything:
		s.logger.Error("the disk is nearly full: publishing and changes are refused until there is room again",
			"free_bytes", left, "reserve_bytes", s.mark.Load())
	}
}

// enough reports whether there is room to begin again after a failure.
func (s *Space) enough() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.measured >= reopen(s.mark.Load())
}

// fail says that writing has failed; nothing is taken until recovered.
func (s *Space) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return
	}
	s.broken = err
	s.level.Store(nothing)
	close(s.failed)
	s.logger.Error("the storage does not take writes: publishing and changes are refused until it does", "error", err)
}

// recovered ends what fail began. A measurement follows, so that it does not
// admit more than there is room for.
func (s *Space) recovered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		return
	}
	s.broken = nil
	s.failed = make(chan struct{})
	if s.base.Load() == unmeasured {
		s.setLevel(everything, 0)
	}
}

// hasFailed reports whether fail was called and recovered was not.
func (s *Space) hasFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken != nil
}

// freeBytes returns what was free at the last measurement.
func (s *Space) freeBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.measured
}
