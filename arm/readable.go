package arm

import (
	"errors"
	"iter"
	"log/slog"

	"github.com/intertie/intertie/resource"
)

// eachReadable yields records with their properties. One that cannot be read is
// told of and left out: it must not end the requests of everybody whose way leads
// past it.
func eachReadable[P any](logger *slog.Logger, records []*resource.Resource) iter.Seq2[*resource.Resource, *P] {
	return func(yield func(*resource.Resource, *P) bool) {
		for _, r := range records {
			p, err := resource.Properties[P](r)
			if err != nil {
				tellUnreadable(logger, r, err)
				continue
			}
			if !yield(r, p) {
				return
			}
		}
	}
}

func tellUnreadable(logger *slog.Logger, r *resource.Resource, err error) {
	logger.Error("a resource cannot be read; it is left out", "id", r.ID, "error", err)
}

// readableOnly makes show leave out what cannot be read, as eachReadable does; an
// error that is meant for the caller stays one.
func (h *Handler) readableOnly(show func(*resource.Resource) (any, error)) func(*resource.Resource) (any, error) {
	return func(r *resource.Resource) (any, error) {
		v, err := show(r)
		if _, meant := errors.AsType[*resource.Error](err); err == nil || meant {
			return v, err
		}
		tellUnreadable(h.Logger, r, err)
		return nil, nil
	}
}
