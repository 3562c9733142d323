package store

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// markersAtOnce bounds one round, so that a mass deletion does not keep the
	// disk busy when its markers come of age.
	markersAtOnce = 1000
	// markerRounds is how many rounds there are in KeepMarkers.
	markerRounds = 24
	// purgeBytes is the most that nats-server writes before a purge frees anything.
	purgeBytes = 4 << 20
)

// dropMarkers removes the markers of old deletions from the stream, which would
// otherwise grow with every resource that ever was. It ends with ctx.
func (s *Store) dropMarkers(ctx context.Context) {
	tick := time.NewTicker(max(s.opts.KeepMarkers/markerRounds, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s.opts.Space.TakeToFree(purgeBytes) != nil {
			continue
		}
		for key, m := range s.state.stale(time.Now().Add(-s.opts.KeepMarkers), markersAtOnce) {
			// Up to the marker: a resource that was made again since is not touched.
			err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(subjectOf(key)), jetstream.WithPurgeSequence(m.revision+1))
			if err != nil {
				if ctx.Err() != nil {
					break
				}
				s.opts.Logger.Warn("markers of deleted resources stay for now", "error", err)
				break
			}
			s.state.forget(key, m)
		}
		s.opts.Space.Put(purgeBytes)
	}
}
