package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"text/tabwriter"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/command"
	"example.com/todo/platform/passwordinput"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/printable"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/retry"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// AddUserCommands adds the command users to the program.
func AddUserCommands(p *command.Program[Config]) {
	users := &cobra.Command{
		Use:   "users",
		Short: "Make, list, disable and enable users",
		Long: `Makes, lists, disables and enables the users of sign-in. A password is asked for, or read
from standard input. A user of an OIDC issuer has no e-mail: name it by --id.`,
	}
	users.AddCommand(
		newCreateUser(p), newListUsers(p), newAdopt(p),
		newChangeUser(p, "disable", "Forbid a user to sign in, and end its sessions", func(ctx context.Context, c *userCommand, id int64) (string, error) {
			_, err := c.accounts.Disable(ctx, id)
			return "disabled", err
		}),
		newChangeUser(p, "enable", "Let a user sign in again", func(ctx context.Context, c *userCommand, id int64) (string, error) {
			_, err := c.accounts.Enable(ctx, id)
			return "enabled", err
		}),
		newChangeUser(p, "set-password", "Set a user's password, and end its sessions", func(ctx context.Context, c *userCommand, id int64) (string, error) {
			password, err := passwordinput.Read(ctx, c.InOrStdin(), c.ErrOrStderr(), "Password: ", "Again: ")
			if err != nil {
				return "", err
			}
			_, err = c.accounts.SetPassword(ctx, id, password)
			return "has a new password", err
		}),
	)
	p.Attach(users)
}

// userCommand is a running command, with what it needs.
type userCommand struct {
	*cobra.Command
	cfg      Config
	store    *pgstore.Store
	accounts *account.Service
}

// withUsers returns the RunE of a command that takes no arguments.
func withUsers(p *command.Program[Config], run func(ctx context.Context, c *userCommand) error) func(*cobra.Command, []string) error {
	return p.With(func(cmd *cobra.Command, cfg Config, args []string) error {
		if len(args) > 0 {
			return command.UsageError(fmt.Errorf("%s takes no %q; see --help", cmd.CommandPath(), args[0]))
		}
		db, err := postgres.Open(cfg.Postgres, nil)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := postgres.CheckSchema(cmd.Context(), db, pgstore.Migrations, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		state := redis.Open(cfg.Redis, "redis", nil)
		defer state.Close()
		c := &userCommand{Command: cmd, cfg: cfg, store: pgstore.New(db)}
		if c.accounts, err = newAccounts(cfg, c.store, state, session.NewStore(state, cfg.sessions())); err != nil {
			return err
		}
		return explainUserError(run(cmd.Context(), c))
	})
}

// explainUserError says what to do after an error.
func explainUserError(err error) error {
	switch {
	case err == nil:
		return nil
	case apperr.Of(err).Kind == apperr.Invalid:
		return command.UsageError(err)
	case apperr.Of(err).Kind == apperr.Unavailable:
		return fmt.Errorf("%w; run the command again, which is safe", err)
	}
	return err
}

func newCreateUser(p *command.Program[Config]) *cobra.Command {
	var email string
	var admin bool
	cmd := &cobra.Command{
		Use: "create --email <e-mail> [--admin]", DisableFlagsInUseLine: true,
		Short:   "Make a user with a password",
		Example: "  users create --email ann@example.com\n  users create --email ann@example.com --admin < password-file",
		RunE: withUsers(p, func(ctx context.Context, c *userCommand) error {
			// Before the password is asked for.
			if _, err := account.NormalizeEmail(email); err != nil {
				return err
			}
			password, err := passwordinput.Read(ctx, c.InOrStdin(), c.ErrOrStderr(), "Password: ", "Again: ")
			if err != nil {
				return err
			}
			role := account.RoleUser
			if admin {
				role = account.RoleAdmin
			}
			u, err := c.accounts.Create(ctx, email, password, role)
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "user %d: %s\n", u.ID, printable.Escape(u.Email))
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&email, "email", "", "the user's `e-mail`")
	cmd.Flags().BoolVar(&admin, "admin", false, "the user also sees the statistics of all users")
	return cmd
}

func newListUsers(p *command.Program[Config]) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the users", RunE: withUsers(p, func(ctx context.Context, c *userCommand) error {
		table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "ID\tNAME\tROLE\tSTATE\tCREATED\n")
		for after := int64(0); ; {
			page, err := c.accounts.List(ctx, after)
			if err != nil {
				return err
			}
			for _, u := range page {
				after = u.ID
				fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", u.ID, printable.Escape(nameOf(u)), u.Role, stateOf(u), u.CreatedAt.Format(time.RFC3339))
			}
			if len(page) < account.MaxList {
				return table.Flush()
			}
		}
	})}
}

// nameOf returns the e-mail of a user, or subject and issuer.
func nameOf(u account.User) string {
	if u.Email != "" {
		return u.Email
	}
	return u.Identity.Subject + " of " + u.Identity.Issuer
}

func stateOf(u account.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

// newChangeUser returns a command that changes one user. change returns what the user is
// or has then.
func newChangeUser(p *command.Program[Config], name, short string, change func(ctx context.Context, c *userCommand, id int64) (result string, err error)) *cobra.Command {
	var which userFlags
	cmd := &cobra.Command{
		Use: name + " --email <e-mail> | --id <id>", DisableFlagsInUseLine: true, Short: short,
		RunE: withUsers(p, func(ctx context.Context, c *userCommand) error {
			u, err := which.find(ctx, c.accounts)
			if err != nil {
				return err
			}
			result, err := change(ctx, c, u.ID)
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "user %d (%s) %s\n", u.ID, printable.Escape(nameOf(u)), result)
			}
			return err
		}),
	}
	which.register(cmd)
	return cmd
}

// userFlags are the flags that name a user.
type userFlags struct{ email, id string }

func (f *userFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.email, "email", "", "the user's `e-mail`")
	cmd.Flags().StringVar(&f.id, "id", "", "the user's `id`, from users list")
}

func (f *userFlags) find(ctx context.Context, accounts *account.Service) (account.User, error) {
	if (f.email == "") == (f.id == "") {
		return account.User{}, command.UsageError(errors.New("name the user by --email or by --id"))
	}
	if f.email != "" {
		return accounts.Find(ctx, f.email)
	}
	id, err := strconv.ParseInt(f.id, 10, 64)
	if err != nil || id < 1 {
		return account.User{}, command.UsageError(errors.New("--id must be a positive whole number"))
	}
	return accounts.Get(ctx, id)
}

func newAdopt(p *command.Program[Config]) *cobra.Command {
	var which userFlags
	cmd := &cobra.Command{
		Use: "adopt --email <e-mail> | --id <id>", DisableFlagsInUseLine: true,
		Short: "Give the tasks without an owner to a user",
		Long: `Gives the tasks without an owner, and their stored events, to a user. Run it once, after
sign-in was switched on and while no replica runs without it.`,
		RunE: withUsers(p, func(ctx context.Context, c *userCommand) error {
			u, err := which.find(ctx, c.accounts)
			if err != nil {
				return err
			}
			tasks, err := c.adopt(ctx, task.Owner(u.ID))
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "user %d (%s) has %d more tasks\n", u.ID, printable.Escape(nameOf(u)), tasks)
			}
			return err
		}),
	}
	which.register(cmd)
	return cmd
}

// adopt gives the tasks without an owner to the owner, whose cached list then is not used
// any more.
func (c *userCommand) adopt(ctx context.Context, owner task.Owner) (tasks int64, err error) {
	if tasks, err = c.store.Adopt(ctx, owner); err != nil {
		return 0, err
	}
	servers, prefix := c.cfg.cacheRedis()
	client := redis.Open(servers, "redis_cache", nil)
	defer client.Close()
	if err := invalidateList(ctx, client, prefix, owner); err != nil {
		return 0, apperr.New(apperr.Unavailable, "the tasks have an owner, but its cached list could not be invalidated").WithCause(err)
	}
	return tasks, nil
}

// invalidateTimeout is how long a command tries to invalidate a list. One try waits 40 ms
// for Redis, as long as a request may.
const invalidateTimeout = 10 * time.Second

func invalidateList(ctx context.Context, client goredis.UniversalClient, prefix string, owner task.Owner) error {
	ctx, cancel := context.WithTimeout(ctx, invalidateTimeout)
	defer cancel()
	lists := redisstore.NewListCache(redisstore.NewAutoPipeline(client), prefix, slog.New(slog.DiscardHandler), nil)
	delays := retry.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for pauses := delays.Delays(); ; {
		err := lists.Invalidate(ctx, owner, "")
		if err == nil || !retry.Wait(ctx, pauses.NextBackOff()) {
			return err
		}
	}
}
