package eventgrid

import (
	"testing"

	"github.com/intertie/intertie/resource"
)

// Templates ask for the state of a partner topic where others call an action.
func TestActivationByPutAndPatch(t *testing.T) {
	put := func(properties string) func(*world) error {
		return func(w *world) error { return w.put(topicID, `{"location":"westeurope","properties":{`+properties+`}}`) }
	}
	patch := func(properties string) func(*world) error {
		return func(w *world) error { return w.patch(topicID, `{"properties":{`+properties+`}}`) }
	}
	type step struct {
		do        func(*world) error
		want      string // state
		readiness string // of the channel
	}
	for name, steps := range map[string][]step{
		"by PUT": {
			{put(``), NeverActivated, "NeverActivated"},
			{put(`"activationState":"NeverActivated"`), NeverActivated, "NeverActivated"},
			{put(`"activationState":"activated","source":"/northwave/4711"`), Activated, "Activated"},
			{put(``), Activated, "Activated"},
			{put(`"activationState":"Deactivated"`), Deactivated, "Activated"},
			{put(`"activationState":"Activated"`), Activated, "Activated"},
		},
		"by PATCH": {
			{patch(`"activationState":"Activated"`), Activated, "Activated"},
			{patch(`"activationState":"Deactivated"`), Deactivated, "Activated"},
			{func(w *world) error { return w.patch(topicID, `{"tags":{"a":"b"}}`) }, Deactivated, "Activated"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withChannel()
			for i, s := range steps {
				w.must(s.do(w))
				p, c := props[PartnerTopic](w, topicID), props[Channel](w, channelID)
				if p.ActivationState != s.want || c.ReadinessState != s.readiness {
					t.Fatalf("step %d: %s and %s, want %s and %s", i, p.ActivationState, c.ReadinessState, s.want, s.readiness)
				}
				if (p.Expires == nil) != (s.want != NeverActivated) {
					t.Errorf("step %d: it expires %v", i, p.Expires)
				}
			}
		})
	}
	w := newWorld(t).withChannel()
	for properties, want := range map[string]string{
		`"activationState":"Deactivated"`: "never activated",
		`"activationState":"Sleeping"`:    "'activationState' is 'Sleeping'",
		`"source":"/somebody/else"`:       "'properties.source' cannot be changed",
	} {
		w.wantError(put(properties)(w), resource.InvalidRequest, want)
	}
	w.must(w.post(topicID, "activate", ""))
	w.wantError(put(`"activationState":"NeverActivated"`)(w), resource.InvalidRequest, "'activationState' is 'NeverActivated'")
}
