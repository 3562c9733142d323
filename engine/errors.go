package engine

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNoSpace says that there is no room on disk. It ends by itself when there
	// is space again.
	ErrNoSpace = errors.New("no room to store anything")
	// ErrTooLarge says that something does not fit one write.
	ErrTooLarge = errors.New("too large for one write")
	// ErrUnconfirmed says that no answer came in time: what was to be written may
	// or may not be durable.
	ErrUnconfirmed = errors.New("not confirmed in time")
	// ErrConflict says that a transaction was decided on what is not the newest
	// state any more.
	ErrConflict = errors.New("resources were changed meanwhile")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("the engine is closed")
)

// LossError says that there is less than there was, or that it cannot be read.
// The engine is not opened: a person has to look, and may then accept the loss
// under its ID.
type LossError struct {
	// ID stands for exactly these findings.
	ID string
	// Findings say what is missing or damaged, one line each.
	Findings []string
	// Acceptable is false where nothing could be opened without these files: then
	// only a copy of them helps.
	Acceptable bool
}

func (e *LossError) Error() string {
	text := "the data folder holds less than it must: " + strings.Join(e.Findings, "; ")
	if e.Acceptable {
		return fmt.Sprintf("%s. Look with 'intertie check'; to go on without it: 'intertie serve --accept-loss=%s'", text, e.ID)
	}
	return text + ". Look with 'intertie check', and restore a copy of the folder"
}
