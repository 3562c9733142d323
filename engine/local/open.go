package local

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/intertie/intertie/engine"
)

// databaseFolder is where Pebble keeps its files.
const databaseFolder = "pebble"

// fullPause is between two attempts to write a table on a full disk.
const fullPause = 50 * time.Millisecond

// pebbleFormat is the newest format of Pebble that we rely on: with it, damage
// to a part of the write-ahead log that was synced can be told from its end.
const pebbleFormat = pebble.FormatTableFormatV6

// open opens what must be there, or returns when the engine has failed meanwhile: then
// what hangs, or must not go on, is left behind.
func (e *Engine) open() error {
	opened := make(chan error, 1)
	go func() { opened <- e.openFolder() }()
	select {
	case err := <-opened:
		return err
	case <-e.failed:
		return fmt.Errorf("open the database in %s: %w", e.fs.PathJoin(e.opts.Dir, databaseFolder), e.Err())
	}
}

// openFolder looks at all that must be there, and opens it. It looks with a database that
// is opened for reading: opened for writing, Pebble takes what it cannot read at the
// end of its files for what was never written, and deletes what nothing refers to.
// So what is refused is left as it was.
func (e *Engine) openFolder() error {
	path := e.fs.PathJoin(e.opts.Dir, databaseFolder)
	there, err := e.isThere(path)
	if err != nil {
		return err
	}
	ackedPath := e.fs.PathJoin(e.opts.Dir, ackedFile)
	var damaged int
	e.acked, damaged, err = openAcked(e.fs, ackedPath, !there && !e.readOnly)
	switch {
	case oserror.IsNotExist(err) && there:
		damaged = ackedSlots // examine says so
	case oserror.IsNotExist(err):
		return fmt.Errorf("there is no data in %s", e.opts.Dir)
	case err != nil:
		return fmt.Errorf("open %s: %w", ackedPath, err)
	case !there && e.acked.written > 0:
		return e.loss(false, fmt.Sprintf("the database in %s is missing; %d writes to it were acknowledged", path, e.acked.written))
	}
	if there {
		if err := e.look(path, ackedPath, damaged); err != nil || e.readOnly {
			return err
		}
	} else if err := e.create(path); err != nil {
		return err
	}
	if e.db, err = e.openDatabase(path, false); err != nil {
		return err
	}
	return e.setOut(ackedPath, damaged)
}

// create makes a database and closes it: Pebble begins the log of a new one before
// it knows the format that says how much of it was synced.
func (e *Engine) create(path string) error {
	db, err := e.openDatabase(path, false)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("make the database in %s: %w", path, err)
	}
	return nil
}

// look opens the database for reading and examines it. What a person has accepted as
// lost is given up.
func (e *Engine) look(path, ackedPath string, damaged int) (err error) {
	e.db, err = e.openDatabase(path, true)
	if loss, ok := errors.AsType[*engine.LossError](err); ok && loss.Acceptable && e.accepts(loss.ID) {
		if err = e.cutLogs(path); err == nil {
			e.accepted = true
			e.db, err = e.openDatabase(path, true)
		}
	}
	if err != nil {
		return err
	}
	if err := e.examine(ackedPath, damaged); err != nil || e.readOnly {
		return err
	}
	err = e.accept(path)
	if e.db != nil {
		err = errors.Join(err, e.db.Close())
		e.db = nil
	}
	return err
}

// isThere reports whether there is a database.
func (e *Engine) isThere(path string) (bool, error) {
	desc, err := pebble.Peek(path, e.fs)
	if err != nil && !oserror.IsNotExist(err) {
		return false, fmt.Errorf("look for a database in %s: %w", path, err)
	}
	return err == nil && desc.Exists, nil
}

// openDatabase opens Pebble.
func (e *Engine) openDatabase(path string, readOnly bool) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil { // Pebble's way when it cannot even give up
			db, err = nil, fmt.Errorf("open the database in %s: panic: %v", path, p)
		}
	}()
	db, err = pebble.Open(path, e.pebbleOptions(readOnly))
	switch errno := syscall.Errno(0); {
	case err == nil:
		return db, nil
	case errors.As(err, &errno) && errno != syscall.ENOENT:
		// The system refused something: nothing is said of the data.
		return nil, fmt.Errorf("open the database in %s: %w", path, err)
	case pebble.IsCorruptionError(err), oserror.IsNotExist(err):
		// Of what Pebble needs to open, only the log can do without its end.
		log := strings.Contains(err.Error(), "WAL")
		return nil, e.loss(log, fmt.Sprintf("the database in %s cannot be opened: %v", path, err))
	default:
		return nil, fmt.Errorf("open the database in %s: %w", path, err)
	}
}

func (e *Engine) pebbleOptions(readOnly bool) *pebble.Options {
	o := &pebble.Options{
		FS:                          e.fs,
		ReadOnly:                    readOnly,
		FormatMajorVersion:          pebbleFormat,
		Merger:                      merger,
		Logger:                      pebbleLogger{e},
		MemTableSize:                e.opts.MemTable,
		MemTableStopWritesThreshold: 4,
		CacheSize:                   8 << 20,
		MaxOpenFiles:                512,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				// A full disk ends by itself. While the database is being opened, though,
				// Pebble would wait for ever for what it writes in the background, and not
				// say so.
				if !e.opened.Load() || !errors.Is(err, syscall.ENOSPC) {
					e.fail(fmt.Errorf("in the background of the database: %w", err))
				}
				// Pebble tries again at once, which must not take a whole processor until
				// there is room, or the process ends.
				time.Sleep(fullPause)
			},
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				if !e.opened.Load() {
					return // whoever reads is told
				}
				e.fail(fmt.Errorf("the database is damaged: %s at %s: %w", i.Path, i.Bounds.String(), i.Details))
			},
		},
	}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	return o
}

// pebbleLogger passes on what Pebble has to say. What it calls fatal must not
// return: it would go on with what is broken.
type pebbleLogger struct{ e *Engine }

func (l pebbleLogger) Infof(format string, args ...any) {
	if l.e.logger.Enabled(nil, slog.LevelDebug) { //nolint:staticcheck // handlers take a nil context
		l.e.logger.Debug("pebble", "says", fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.e.logger.Error("pebble", "says", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.e.never(fmt.Errorf(format, args...)) //nolint:err113,nolintlint // Pebble's text
}

// loss returns a [engine.LossError] whose ID is of its findings.
func (e *Engine) loss(acceptable bool, findings ...string) error {
	return &engine.LossError{ID: lossID(findings), Findings: findings, Acceptable: acceptable}
}

// lossID is short enough to be typed.
func lossID(findings []string) string {
	return fmt.Sprintf("%08x", uint32(xxhash.Sum64String(strings.Join(findings, "\n")))) //nolint:gosec // half of it is enough
}

// accepts reports whether a person has accepted what has this ID.
func (e *Engine) accepts(id string) bool { return !e.readOnly && e.opts.AcceptLoss == id }
