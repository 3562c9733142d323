package telemetry

import (
	"io"
	"log/slog"
	"os"
)

// Format is how log records are written.
type Format string

const (
	// Auto is Text when the output is a terminal, JSON otherwise.
	Auto Format = "auto"
	// Text is one line of key=value pairs for people.
	Text Format = "text"
	// JSON is one object a line for machines.
	JSON Format = "json"
)

// LogOptions says how to log. The zero value is automatic format from level
// info upwards.
type LogOptions struct {
	Format Format
	// Level is the lowest level that is written; a *slog.LevelVar lets it
	// change while the program runs. Nil is info.
	Level slog.Leveler
}

// NewLogger returns a logger that writes to w, safe for concurrent use. Each
// record is one Write.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	ho := &slog.HandlerOptions{Level: o.Level}
	switch {
	case o.Format == JSON, o.Format != Text && !IsTerminal(w):
		return slog.New(slog.NewJSONHandler(w, ho))
	default:
		return slog.New(slog.NewTextHandler(w, ho))
	}
}

// IsTerminal reports whether w is a character device: good enough to choose a
// format, words or colour by. That includes the null device, where none of them
// matters.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
