package template

import "fmt"

// Error says what is wrong with a template or why it could not be deployed. Its
// text is meant for the one who wrote the template.
type Error struct {
	// Path is the place, such as resources[2].properties; empty for the template
	// as a whole.
	Path string
	// Line is where the place begins, 0 when there is none (a parameter that was
	// not given, for example).
	Line    int
	Message string
	// Cause is what the host answered, if that is the reason.
	Cause error
}

func (e *Error) Error() string {
	switch {
	case e.Path != "" && e.Line > 0:
		return fmt.Sprintf("%s (line %d): %s", e.Path, e.Line, e.Message)
	case e.Path != "":
		return e.Path + ": " + e.Message
	case e.Line > 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	default:
		return e.Message
	}
}

// Unwrap returns what the host answered.
func (e *Error) Unwrap() error { return e.Cause }

// at places an error that has no place yet.
func at(err error, path string, line int) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // ours are never wrapped in between
		if e.Path == "" {
			e.Path = path
		}
		if e.Line == 0 {
			e.Line = line
		}
		return e
	}
	return &Error{Path: path, Line: line, Message: err.Error(), Cause: err}
}
