package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/passwordinput"
	"example.com/todo/platform/printable"
)

// signInHint says how to get a session.
func signInHint() string {
	const hint = "sign in with: grpc-client login --email E-MAIL"
	if os.Getenv(tokenVariable) != "" {
		return "unset " + tokenVariable + ", and " + hint
	}
	return hint
}

func (c *cli) signInCommands() []*cobra.Command {
	login := &cobra.Command{
		Use:   "login",
		Short: "Sign in, and keep the session for later commands",
		Long: "Sign in, and keep the session for later commands with the same --addr.\n\n" +
			"The password is asked for, or read from standard input. The token is kept in the user's\n" +
			"config folder, in a file that only the user can read. A token in " + tokenVariable + " has precedence.",
		Example: "  grpc-client login --email ann@example.com\n  grpc-client login --email ann@example.com < password-file",
		Args:    exactly(0),
		RunE:    c.login,
	}
	login.Flags().StringVar(&c.email, "email", "", "the user's `e-mail`")
	whoami := &cobra.Command{Use: "whoami", Short: "Show who is signed in", Args: exactly(0), RunE: c.whoami}
	logout := &cobra.Command{Use: "logout", Short: "End the session, and forget its token", Args: exactly(0), RunE: c.logout}
	all := []*cobra.Command{login, whoami, logout}
	for _, cmd := range all {
		cmd.Flags().StringVar(&c.httpURL, "http-url", "http://localhost:8080", "`URL` of the HTTP API of the same service; later that of login")
	}
	return all
}

// user is a user in the HTTP API.
type user struct {
	ID        int64      `json:"id"`
	Email     string     `json:"email,omitempty"`
	Role      string     `json:"role,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
}

// name returns the printable name of the user. One of an OIDC issuer has no e-mail.
func (u user) name() string {
	return cmp.Or(printable.Excerpt(u.Email), fmt.Sprintf("user %d", u.ID))
}

// login starts a session and keeps it in place of the one before, which it ends.
func (c *cli) login(cmd *cobra.Command, _ []string) error {
	switch {
	case c.email == "":
		return usageError{errors.New("--email is missing")}
	case os.Getenv(tokenVariable) != "":
		return usageError{errors.New(tokenVariable + " is set and has precedence over what login keeps: unset it")}
	}
	before, _ := loadSession(c.addr) // a damaged one is replaced
	client, err := c.newHTTPClient(storedSession{HTTPURL: c.httpURL})
	if err != nil {
		return err
	}
	password, err := passwordinput.Read(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), "Password: ")
	if err != nil && apperr.Of(err).Kind == apperr.Invalid {
		return usageError{err}
	} else if err != nil {
		return err
	}
	var started struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
		User      user      `json:"user"`
	}
	ctx := cmd.Context()
	credentials := map[string]string{"email": c.email, "password": password}
	if err := client.do(ctx, http.MethodPost, "/sessions", credentials, &started); err != nil {
		return c.explainHTTP("sign in", client, err)
	}
	kept := storedSession{Token: started.Token, HTTPURL: c.httpURL}
	if err := kept.save(c.addr); err != nil {
		c.endSession(ctx, kept)
		return fmt.Errorf("cannot keep the session: %w", err)
	}
	c.endSession(ctx, before)
	return c.print(cmd.OutOrStdout(), response{
		map[string]any{"user": started.User, "expires_at": started.ExpiresAt},
		fmt.Sprintf("Signed in to %s as %s.\n", c.addr, started.User.name()),
	})
}

// endSession ends a session that nothing refers to any more. One that cannot be ended
// expires.
func (c *cli) endSession(ctx context.Context, s storedSession) {
	if s.Token == "" {
		return
	}
	if client, err := c.newHTTPClient(s); err == nil {
		_ = client.do(ctx, http.MethodDelete, "/sessions/current", nil, nil)
	}
}

func (c *cli) whoami(cmd *cobra.Command, _ []string) error {
	const action = "show who is signed in"
	client, err := c.signedInClient(cmd, action)
	if err != nil {
		return err
	}
	var u user
	if err := client.do(cmd.Context(), http.MethodGet, "/users/me", nil, &u); err != nil {
		return c.explainHTTP(action, client, err)
	}
	created := ""
	if u.CreatedAt != nil {
		created = u.CreatedAt.Format(time.RFC3339)
	}
	return c.print(cmd.OutOrStdout(), response{u, fmt.Sprintf("ID\tE-MAIL\tROLE\tCREATED\n%d\t%s\t%s\t%s\n",
		u.ID, printable.Excerpt(u.Email), printable.Excerpt(u.Role), created)})
}

// logout ends the session. If that is uncertain, it keeps the token, so that the command
// can be repeated.
func (c *cli) logout(cmd *cobra.Command, _ []string) error {
	const action = "sign out"
	client, err := c.signedInClient(cmd, action)
	if err != nil {
		return err
	}
	err = client.do(cmd.Context(), http.MethodDelete, "/sessions/current", nil, nil)
	var refused *httpError
	if hasEnded := errors.As(err, &refused) && refused.status == http.StatusUnauthorized; err != nil && !hasEnded {
		return c.explainHTTP(action, client, err)
	}
	if os.Getenv(tokenVariable) == "" {
		if err := removeSession(c.addr); err != nil {
			return fmt.Errorf("the session has ended, but its token cannot be removed: %w", err)
		}
	}
	return c.print(cmd.OutOrStdout(), response{map[string]string{"signed_out": c.addr}, fmt.Sprintf("Signed out of %s.\n", c.addr)})
}

// signedInClient returns a client with the user's session. Without one it returns an error.
func (c *cli) signedInClient(cmd *cobra.Command, action string) (*httpClient, error) {
	s, err := c.session()
	if err != nil {
		return nil, err
	}
	if s.Token == "" {
		return nil, fmt.Errorf("cannot %s: you are not signed in to %s; %s", action, c.addr, signInHint())
	}
	if cmd.Flags().Changed("http-url") {
		s.HTTPURL = c.httpURL
	}
	return c.newHTTPClient(s)
}
