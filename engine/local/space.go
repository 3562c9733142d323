package local

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/intertie/intertie/engine"
)

const (
	// The default reserve is an eighth of the file system within these bounds:
	// enough for what is in memory when it is reached and has to become tables, and
	// not so much that a laptop's last gigabytes are of no use.
	minReserve = 32 << 20
	maxReserve = 256 << 20
	// inodeReserve is how many files must be free.
	inodeReserve = 64
	// amplification is how many bytes are written, at most, for one that is stored
	// before it is measured again: the log and one table.
	amplification = 2
	// unmeasured stands for free space that nobody has measured.
	unmeasured = 1 << 62
)

// The levels of a space: what is taken.
const (
	everything int32 = iota
	ownOnly          // what is moved: it frees space in the end
	nothing
)

// space keeps the file system of the data folder from running full by our own
// hand. Below the reserve what comes from outside is refused; what is moved goes on
// down to half of it. What is done is always written.
//
// Free space is measured from time to time. In between everything that is about
// to be written is taken off, so that a burst cannot outrun the measuring.
//
// Another program can fill the disk all the same. The first write that fails for
// it gets the ballast, a file kept for that, and is repeated by Pebble; the ballast
// is made again when there is room.
type space struct {
	usage   func() (free, total int64, inodes int64, err error)
	reserve int64 // of Options
	logger  *slog.Logger

	// What is free is base-taken: what was free when it was measured, less what
	// was taken since, and less what was taken before and not written by then.
	base, taken, written atomic.Int64
	mark                 atomic.Int64 // free bytes below which what comes from outside is refused
	level                atomic.Int32

	refused, refusedOwn atomic.Uint64
	blind               atomic.Bool // the free space could not be read, which is logged

	ballast ballast

	mu       sync.Mutex // protects the fields below, and changes of level
	measured int64      // free bytes at the last measurement
	inodes   int64      // free files at the last measurement; -1: not known
}

func newSpace(reserve int64, logger *slog.Logger, usage func() (free, total int64, inodes int64, err error)) *space {
	s := &space{reserve: reserve, logger: logger, usage: usage, inodes: -1}
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
	if level == ownOnly {
		return mark
	}
	return mark / 2
}

// reopen is how much must be free for a mark to be left behind again.
func reopen(mark int64) int64 { return mark + mark/4 }

// take admits n bytes that come from outside and are to be written. What was
// admitted must be given back by one put when it is written or never will be.
func (s *space) take(n int) error { return s.admit(n, ownOnly, &s.refused) }

// takeOwn is take for what this program moves from one place to another.
func (s *space) takeOwn(n int) error { return s.admit(n, nothing, &s.refusedOwn) }

// admit takes n bytes unless the level is at least refuseAt, or would be.
func (s *space) admit(n int, refuseAt int32, refused *atomic.Uint64) error {
	if s.level.Load() < refuseAt {
		left := s.base.Load() - s.taken.Add(int64(n)*amplification)
		if left >= below(s.mark.Load(), refuseAt) {
			return nil
		}
		s.taken.Add(-int64(n) * amplification)
		s.mu.Lock()
		if s.level.Load() < refuseAt {
			s.setLevel(refuseAt, left)
		}
		s.mu.Unlock()
	}
	refused.Add(1)
	return s.reason()
}

func (s *space) put(n int) { s.written.Add(int64(n) * amplification) }

// room returns why nothing from outside is taken at present, or nil.
func (s *space) room() error {
	if s.level.Load() == everything {
		return nil
	}
	return s.reason()
}

func (s *space) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inodes >= 0 && s.inodes < inodeReserve {
		return fmt.Errorf("%w: the file system has %d free files (inodes), %d are kept in reserve", engine.ErrNoSpace, s.inodes, inodeReserve)
	}
	return fmt.Errorf("%w: %d MB are free, %d MB are kept in reserve", engine.ErrNoSpace, s.measured>>20, s.mark.Load()>>20)
}

// measure takes note of what is free.
func (s *space) measure() {
	writtenBefore := s.written.Load() // before: what is written meanwhile may not be in it
	free, total, inodes, err := s.usage()
	if err != nil {
		if !s.blind.Swap(true) && !errors.Is(err, vfs.ErrUnsupported) {
			s.logger.Warn("the free space cannot be watched", "error", err)
		}
		return
	}
	s.blind.Store(false)
	s.mu.Lock()
	mark := markFor(s.reserve, total)
	s.measured, s.inodes = free, inodes
	s.mark.Store(mark)
	s.base.Store(free + writtenBefore)
	left := free + writtenBefore - s.taken.Load()
	if inodes >= 0 && inodes < inodeReserve {
		left = min(left, below(mark, ownOnly)-1)
	}
	level := s.level.Load()
	for level < nothing && left < below(mark, level+1) {
		level++
	}
	for level > everything && left >= reopen(below(mark, level)) {
		level--
	}
	s.setLevel(level, left)
	s.mu.Unlock()
	s.ballast.restore(s, free, mark)
}

// full is for a write that found no space, whatever was measured: another program
// has filled the disk since.
func (s *space) full(logger *slog.Logger) {
	s.mu.Lock()
	s.measured = 0
	if s.level.Load() < nothing {
		s.setLevel(nothing, 0)
	}
	s.mu.Unlock()
	s.ballast.drop(logger)
}

// setLevel logs what an operator must know: that it closed, and that it opened.
// mu is held.
func (s *space) setLevel(level int32, left int64) {
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

// left returns what may still be taken from outside, -1 if that is not known.
func (s *space) left() int64 {
	base := s.base.Load()
	if base == unmeasured {
		return -1
	}
	return max(base-s.taken.Load()-s.mark.Load(), 0)
}

// freeBytes returns what was free at the last measurement.
func (s *space) freeBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.measured
}

// ballast is a file that takes space until that is needed. The zero value has none.
type ballast struct {
	fs   vfs.FS
	path string

	mu        sync.Mutex // protects the file and the field below
	notBefore time.Time  // of the next attempt to make it
}

const (
	// ballastShare is the part of the reserve that is ballast.
	ballastShare = 4
	// ballastPause is how long a ballast that could not be made is not tried again.
	ballastPause = time.Minute
)

// drop gives the space back, for a write that found none.
func (b *ballast) drop(logger *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fs == nil {
		return
	}
	switch err := b.fs.Remove(b.path); {
	case err == nil:
		logger.Error("the disk is full: the ballast is given up so that deliveries go on", "file", b.path)
	case !oserror.IsNotExist(err):
		logger.Error("the disk is full and the ballast cannot be given up", "error", err)
	}
}

// restore makes the file where there is none and room for it.
func (b *ballast) restore(s *space, free, mark int64) {
	size := mark / ballastShare
	if free < reopen(mark)+size {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fs == nil {
		return
	}
	if _, err := b.fs.Stat(b.path); !oserror.IsNotExist(err) {
		return // it is there, or nobody can tell
	}
	if time.Now().Before(b.notBefore) {
		return
	}
	if err := b.make(size); err != nil {
		s.logger.Warn("there is no ballast for a full disk", "error", err, "next_attempt_in", ballastPause)
		_ = b.fs.Remove(b.path)
		b.notBefore = time.Now().Add(ballastPause)
	}
}

func (b *ballast) make(size int64) error {
	f, err := b.fs.Create(b.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	return errors.Join(f.Preallocate(0, size), f.Sync(), f.Close())
}

// watch measures until stop is closed.
func (s *space) watch(every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.measure()
		case <-stop:
			return
		}
	}
}
