package eventgrid

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

const otherPartner = "99999999-aaaa-4bbb-8ccc-000000000009"

// grants lists the grants as id/name/days from now.
func (w *world) grants() []string {
	out := []string{}
	for _, g := range props[PartnerConfiguration](w, configurationID).Authorization.Partners {
		text := func(s *string) string {
			if s == nil {
				return "-"
			}
			return *s
		}
		out = append(out, fmt.Sprintf("%s/%s/%v", text(g.ImmutableID), text(g.Name), g.Expires.Std().Sub(w.now).Hours()/24))
	}
	return out
}

func (w *world) wantGrants(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), w.grants()); diff != "" {
		w.t.Errorf("grants (-want +got):\n%s", diff)
	}
}

func configurationBody(days int, partners string) string {
	return fmt.Sprintf(`{"properties":{"partnerAuthorization":{"defaultMaximumExpirationTimeInDays":%d,"authorizedPartnersList":[%s]}}}`, days, partners)
}

func TestPartnerConfigurationDefaults(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(configurationID, `{}`))
	want := &PartnerConfiguration{ProvisioningState: Succeeded, Authorization: &PartnerAuthorization{DefaultDays: 7, Partners: resource.List[AuthorizedPartner]{}}}
	if diff := cmp.Diff(want, props[PartnerConfiguration](w, configurationID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := w.get(configurationID).Location; got != "global" {
		t.Errorf("location %q", got)
	}
	w.must(w.post(configurationID, "authorizepartner", `{"partnerName":"Northwave"}`))
	w.wantGrants("-/Northwave/7")
}

func TestGrantBounds(t *testing.T) {
	w := newWorld(t)
	for _, days := range []int{-1, 366} {
		w.wantError(w.put(configurationID, configurationBody(days, "")), resource.InvalidRequest, fmt.Sprint(days), "365")
	}
	w.must(w.put(configurationID, configurationBody(1, "")))
	w.must(w.put(configurationID, configurationBody(365, "")))
	w.must(w.put(configurationID, configurationBody(10, "")))
	w.wantError(w.patch(configurationID, `{"properties":{"defaultMaximumExpirationTimeInDays":0}}`), resource.InvalidRequest, "365")

	until := func(d time.Duration) string {
		return fmt.Sprintf(`{"partnerName":"P","authorizationExpirationTimeInUtc":%q}`, w.now.Add(d).Format(time.RFC3339))
	}
	for _, d := range []time.Duration{-time.Hour, 0, 10*day + 2*time.Minute, 400 * day} {
		w.wantError(w.post(configurationID, "authorizepartner", until(d)), resource.InvalidRequest, "at most 10 days")
		w.wantError(w.put(configurationID, configurationBody(10, until(d))), resource.InvalidRequest, "at most 10 days")
	}
	w.wantGrants()
	w.must(w.post(configurationID, "authorizepartner", until(10*day)))
	w.wantGrants("-/P/10")
	w.must(w.post(configurationID, "authorizepartner", until(time.Hour*12)))
	w.wantGrants("-/P/0.5")
}

func TestGrantNeedsAPartner(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(configurationID, `{}`))
	for _, body := range []string{``, `{}`, `{"partnerName":""}`, `{"partnerRegistrationImmutableId":null,"partnerName":null}`} {
		w.wantError(w.post(configurationID, "authorizepartner", body), resource.InvalidRequest, "partnerName")
		w.wantError(w.post(configurationID, "unauthorizepartner", body), resource.InvalidRequest, "partnerName")
	}
	w.wantError(w.post(configurationID, "authorizepartner", `{"partnerRegistrationImmutableId":"northwave"}`), resource.InvalidRequest, "GUID")
	w.wantError(w.post(configurationID, "authorizepartner", `[]`), resource.InvalidRequestContent)
	w.wantError(w.put(configurationID, configurationBody(7, `{}`)), resource.InvalidRequest, "partnerName")
}

func TestAuthorizingAgainRenews(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(configurationID, configurationBody(10, `{"partnerRegistrationImmutableId":"`+otherPartner+`"},{"partnerName":"B"}`)))
	w.now = w.now.Add(5 * day)
	w.wantGrants(otherPartner+"/-/5", "-/B/5")
	w.must(w.post(configurationID, "authorizepartner", `{"partnerRegistrationImmutableId":"{99999999-AAAA-4bbb-8ccc-000000000009}"}`))
	w.wantGrants(otherPartner+"/-/10", "-/B/5")
	w.must(w.post(configurationID, "authorizepartner", `{"partnerName":"b"}`))
	w.wantGrants(otherPartner+"/-/10", "-/b/10")
	w.must(w.post(configurationID, "unauthorizepartner", `{"partnerName":"B"}`))
	w.wantGrants(otherPartner + "/-/10")
	w.must(w.post(configurationID, "unauthorizepartner", `{"partnerName":"nobody"}`))
	w.wantGrants(otherPartner + "/-/10")
	w.must(w.post(configurationID, "unauthorizepartner", `{"partnerRegistrationImmutableId":"`+otherPartner+`"}`))
	w.wantGrants()
}

func TestPatchTakesTheFlatMemberAndLeavesGrantsAlone(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(configurationID, configurationBody(10, `{"partnerName":"B"}`)))
	w.must(w.patch(configurationID, `{"properties":{"defaultMaximumExpirationTimeInDays":3,"partnerAuthorization":{"authorizedPartnersList":[]}}}`))
	w.wantGrants("-/B/10")
	p := props[PartnerConfiguration](w, configurationID)
	if p.Authorization.DefaultDays != 3 || p.DefaultDays != nil {
		t.Errorf("got %+v", p)
	}
	w.must(w.patch(configurationID, `{"tags":{"a":"b"}}`))
	if p := props[PartnerConfiguration](w, configurationID); p.Authorization.DefaultDays != 3 {
		t.Errorf("got %+v", p)
	}
}

// A client may PUT back what it has read, also after a grant has run out or
// when the default was lowered.
func TestPuttingBackWhatWasRead(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(configurationID, configurationBody(10, `{"partnerName":"B"}`)))
	expires := w.now.Add(10 * day).Format(time.RFC3339)
	read := `{"partnerName":"B","partnerRegistrationImmutableId":null,"authorizationExpirationTimeInUtc":"` + expires + `"}`
	w.must(w.put(configurationID, configurationBody(3, read)))
	w.now = w.now.Add(11 * day)
	w.must(w.put(configurationID, configurationBody(3, read)))
	w.wantGrants("-/B/-1")
	w.wantError(w.put(configurationID, configurationBody(3, `{"partnerName":"C","authorizationExpirationTimeInUtc":"`+expires+`"}`)), resource.InvalidRequest)
}

func TestWhomAGrantFits(t *testing.T) {
	id, other := "5f0d3c52-77b1-4c0e-9d0d-6a1f2c9b7e10", otherPartner
	northwave := &PartnerRegistration{ImmutableID: id, PartnerName: "Northwave"}
	nameless := &PartnerRegistration{ImmutableID: id}
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		grant   AuthorizedPartner
		partner *PartnerRegistration
		want    bool
	}{
		"id":                           {AuthorizedPartner{ImmutableID: text(id)}, northwave, true},
		"id of a nameless partner":     {AuthorizedPartner{ImmutableID: text(id)}, nameless, true},
		"other id":                     {AuthorizedPartner{ImmutableID: text(other)}, northwave, false},
		"name":                         {AuthorizedPartner{Name: text("NORTHWAVE")}, northwave, true},
		"other name":                   {AuthorizedPartner{Name: text("Southwave")}, northwave, false},
		"name, nameless partner":       {AuthorizedPartner{Name: text("Northwave")}, nameless, false},
		"both":                         {AuthorizedPartner{ImmutableID: text(id), Name: text("northwave")}, northwave, true},
		"both, wrong name":             {AuthorizedPartner{ImmutableID: text(id), Name: text("Southwave")}, northwave, false},
		"both, wrong id":               {AuthorizedPartner{ImmutableID: text(other), Name: text("Northwave")}, northwave, false},
		"neither":                      {AuthorizedPartner{}, northwave, false},
		"neither, with a nameless one": {AuthorizedPartner{ImmutableID: text(""), Name: text("")}, nameless, false},
	} {
		if got := grantMatches(c.grant, c.partner); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What a partner can do at each moment of a grant.
func TestGrantOverTime(t *testing.T) {
	w := newWorld(t).withNamespace()
	try := func() error {
		copied := *w // nothing of the attempt stays
		return copied.put(channelID, channelBody(""))
	}
	w.wantError(try(), resource.PartnerNotAuthorized, "no authorization", w.partner().ImmutableID, "rg-c", customerSub)
	w.must(w.put(configurationID, `{}`))
	w.wantError(try(), resource.PartnerNotAuthorized, "no authorization")
	w.must(w.post(configurationID, "authorizepartner", `{"partnerName":"Somebody else"}`))
	w.wantError(try(), resource.PartnerNotAuthorized, "no authorization")
	w.must(w.post(configurationID, "authorizepartner", `{"partnerName":"northwave"}`))
	w.must(try())
	w.now = w.now.Add(7*day - time.Second)
	w.must(try())
	w.now = w.now.Add(time.Second)
	w.wantError(try(), resource.PartnerNotAuthorized, "expired")
	w.must(w.post(configurationID, "authorizepartner", `{"partnerRegistrationImmutableId":"`+w.partner().ImmutableID+`"}`))
	w.must(try()) // one grant that holds is enough
	w.must(w.delete(configurationID))
	w.wantError(try(), resource.PartnerNotAuthorized, "no authorization")
}
