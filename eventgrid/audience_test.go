package eventgrid

import (
	"strings"
	"testing"

	"github.com/intertie/intertie/resource"
)

// protectedBy is the body of an event subscription whose webhook wants tokens.
func protectedBy(application string) string {
	return hookBody(`https://erp.example/hook","azureActiveDirectoryTenantId":"contoso.example","azureActiveDirectoryApplicationIdOrUri":"`+application, "")
}

func TestApplications(t *testing.T) {
	for text, want := range map[string]bool{
		"api://erp": true, "api://erp/": true, "https://erp.example": true, "https://erp.example:8443/in_1/~a": true,
		"44444444-aaaa-4bbb-8ccc-000000000004": true, "spn:44444444-aaaa-4bbb-8ccc-000000000004": true, "urn:acme:erp": true,
		"": false, " api://erp": false, "api://erp ": false, "api://erp api://crm": false, "api://erp\tapi://crm": false, "api://erp+api://crm": false,
		"api://erp%20api://crm": false, "api://erp/.default": false, "api://erp/.DEFAULT": false, "api://erp/.default/": false, "api://erp//.default": false,
		"api://erp//": false, "api://erp?x=1": false, "api://erp#x": false, "api://": false, "api://erp,api://crm": false, "api://erp\u00a0x": false, "api://ërp": false,
		"api://" + strings.Repeat("x", 249): true, "api://" + strings.Repeat("x", 250): false,
	} {
		if got := ValidApplication(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Nobody gets a token for what is this server's own, not the operator's to give, or
// another tenant's.
func TestWhoMayHaveTokensForWhat(t *testing.T) {
	const erp, free, otherID = "api://erp", "api://free", "44444444-aaaa-4bbb-8ccc-000000000004"
	listed := map[string][]string{AudienceKey(erp): {strings.ToUpper(customerSub), strangerSub}, "api://all": {"*"}}
	own := func(s string) bool { return AudienceKey(s) == "https://management.azure.com" }
	external, builtIn := &Audiences{Own: own, Listed: listed}, &Audiences{Own: own, Listed: listed, FirstCome: true}
	for name, c := range map[string]struct {
		audiences     *Audiences
		subscription  string
		application   string
		want          resource.Code // "" is permitted
		holdsWhenFree bool          // without a registration
	}{
		"listed":                           {external, customerSub, erp, "", true},
		"listed, otherwise spelled":        {external, customerSub, "API://Erp/", "", true},
		"listed for all":                   {external, partnerSub, "api://all", "", true},
		"listed for others":                {external, partnerSub, erp, resource.AuthorizationFailed, false},
		"not listed":                       {external, customerSub, "https://graph.microsoft.com", resource.AuthorizationFailed, false},
		"named for it, but not listed":     {external, customerSub, "api://" + customerSub + "/erp", resource.AuthorizationFailed, false},
		"own":                              {external, customerSub, "https://management.azure.com/", resource.InvalidRequest, false},
		"two scopes":                       {external, customerSub, "api://all https://graph.microsoft.com/.default", resource.InvalidRequest, false},
		"built-in, own":                    {builtIn, customerSub, "https://management.azure.com", resource.InvalidRequest, false},
		"built-in, listed for others":      {builtIn, partnerSub, erp, resource.AuthorizationFailed, false},
		"built-in, free":                   {builtIn, customerSub, free, "", false},
		"built-in, taken":                  {builtIn, customerSub, "API://taken/", resource.AuthorizationFailed, false},
		"built-in, by id, taken by URI":    {builtIn, customerSub, otherID, resource.AuthorizationFailed, false},
		"built-in, its holder":             {builtIn, partnerSub, "api://taken", "", true},
		"built-in, its own from the start": {builtIn, customerSub, "api://" + customerSub + "/erp", "", true},
		"built-in, another's own":          {builtIn, customerSub, "api://" + partnerSub + "/erp", resource.AuthorizationFailed, false},
		"built-in, another's own by id":    {builtIn, customerSub, partnerSub, resource.AuthorizationFailed, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, taken := range []string{"api://taken", "api://" + otherID} {
				w.must(w.change(func(tx resource.Tx) error {
					return builtIn.Register(tx, Protection{ApplicationID: taken, Subscription: partnerSub}, "", w.now)
				}))
			}
			p := Protection{TenantID: "contoso.example", ApplicationID: c.application, Subscription: c.subscription}
			if err := c.audiences.Permits(w.all, p); (err == nil) != c.holdsWhenFree {
				t.Errorf("before: %v", err)
			}
			err := w.change(func(tx resource.Tx) error { return c.audiences.Register(tx, p, "", w.now) })
			if c.want != "" {
				w.wantError(err, c.want)
				return
			}
			w.must(err)
			w.must(c.audiences.Permits(w.all, p))
		})
	}
}

// Writes ask, in every place that names an application.
func TestAnApplicationIsAskedForAtWrite(t *testing.T) {
	w := newWorld(t).withChannel()
	w.must(w.post(topicID, "activate", ""))
	w.must(w.put(subscriptionID, protectedBy("api://erp")))
	w.must(w.put(subscriptionID, protectedBy("api://erp"))) // again, by its holder

	asked := len(w.hooks.asked)
	w.wantError(w.put(inboundID, inboundBody(strings.Replace(inboundIs, "api://northwave-inbound", "API://ERP", 1), "")),
		resource.AuthorizationFailed, "'API://ERP'", partnerSub, "another subscription")
	w.wantError(w.put(subscriptionID, protectedBy("api://crm api://erp")), resource.InvalidRequest, "azureActiveDirectoryApplicationIdOrUri")
	if len(w.hooks.asked) != asked {
		t.Errorf("asked %+v", w.hooks.asked[asked:])
	}

	// It is held for good: the endpoint may go on to trust it.
	w.must(w.delete(subscriptionID))
	w.wantError(w.put(inboundID, inboundBody(strings.Replace(inboundIs, "api://northwave-inbound", "api://erp", 1), "")), resource.AuthorizationFailed)

	w.rules.Audiences.FirstCome = false
	w.wantError(w.put(subscriptionID, protectedBy("api://erp")), resource.AuthorizationFailed, "list of webhook audiences")
	w.rules.Audiences = nil
	w.wantError(w.put(subscriptionID, protectedBy("api://erp")), resource.AuthorizationFailed)
	w.must(w.put(subscriptionID, hookBody("https://erp.example/hook", "")))
}

func TestApplicationsOfASubscriptionAreBounded(t *testing.T) {
	w := newWorld(t)
	register := func(application string) error {
		return w.change(func(tx resource.Tx) error {
			return w.rules.Audiences.Register(tx, Protection{ApplicationID: application, Subscription: customerSub}, "", w.now)
		})
	}
	for i := range maxAudiencesReserved {
		w.must(register("api://a" + strings.Repeat("x", i)))
	}
	w.wantError(register("api://more"), resource.Conflict, "200 applications")
	w.must(register("api://a"))
	w.must(register("api://" + customerSub + "/more"))
}

// What earlier versions stored keeps its application: the oldest has it.
func TestStoredApplicationsAreClaimed(t *testing.T) {
	w := newWorld(t).trusted().withDestination()
	w.must(w.change(func(tx resource.Tx) error {
		for _, r := range w.all.List(typeAudience, resource.ID{}) {
			tx.Delete(r.ID)
		}
		return nil
	}))
	p := Protection{ApplicationID: "api://northwave-inbound", Subscription: partnerSub}
	if err := w.rules.Audiences.Permits(w.all, p); err == nil {
		t.Fatal("permitted without a registration")
	}
	ids := UnclaimedAudiences(w.all)
	if len(ids) != 1 || ids[0].Key() != inboundID.Key() {
		t.Fatalf("found %v", ids)
	}
	w.must(w.change(func(tx resource.Tx) error { return ClaimAudience(tx, ids[0], w.now) }))
	w.must(w.rules.Audiences.Permits(w.all, p))
	if ids := UnclaimedAudiences(w.all); len(ids) != 0 {
		t.Errorf("still %v", ids)
	}
}
