package template

import (
	"errors"
	"fmt"
	"strings"
)

// ErrCanceled is the cause of the error of a deployment whose host said so.
var ErrCanceled = errors.New("canceled")

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
	// Resource is the id of the resource that could not be made, if that is what
	// failed.
	Resource string
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

// Errors are the failures of several resources of one deployment.
type Errors []*Error

func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i := range e {
		texts[i] = e[i].Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap returns each of them.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i := range e {
		out[i] = e[i]
	}
	return out
}

// with adds an error of this package.
func (e Errors) with(err error) Errors {
	switch err := err.(type) { //nolint:errorlint // ours are never wrapped in between
	case Errors:
		return append(e, err...)
	case *Error:
		return append(e, err)
	}
	return append(e, &Error{Message: err.Error(), Cause: err})
}

func (e Errors) orOne() error {
	if len(e) == 1 {
		return e[0]
	}
	return e
}

// ErrorsOf returns the errors that a deployment ended with, one for each
// resource that failed.
func ErrorsOf(err error) Errors {
	if err == nil {
		return nil
	}
	return Errors(nil).with(err)
}
