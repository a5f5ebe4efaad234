"""The tables of the conversations' database, version by version."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        deleted REAL,
        shown_root INTEGER REFERENCES message (id)
    );
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        parent INTEGER REFERENCES message (id),
        role TEXT NOT NULL,
        text TEXT NOT NULL,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        state TEXT NOT NULL,
        timings TEXT,
        shown_child INTEGER REFERENCES message (id)
    );
    CREATE INDEX message_by_conversation ON message (conversation, id);
    """,
    """
    CREATE VIRTUAL TABLE message_search USING fts5 (
        text, content = 'message', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
        INSERT INTO message_search (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER message_changed AFTER UPDATE OF text ON message BEGIN
        INSERT INTO message_search (message_search, rowid, text) VALUES ('delete', old.id, old.text);
        INSERT INTO message_search (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER message_gone AFTER DELETE ON message BEGIN
        INSERT INTO message_search (message_search, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE VIRTUAL TABLE title_search USING fts5 (
        title, content = 'conversation', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER conversation_added AFTER INSERT ON conversation BEGIN
        INSERT INTO title_search (rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER conversation_changed AFTER UPDATE OF title ON conversation BEGIN
        INSERT INTO title_search (title_search, rowid, title) VALUES ('delete', old.id, old.title);
        INSERT INTO title_search (rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER conversation_gone AFTER DELETE ON conversation BEGIN
        INSERT INTO title_search (title_search, rowid, title) VALUES ('delete', old.id, old.title);
    END;
    INSERT INTO message_search (message_search) VALUES ('rebuild');
    INSERT INTO title_search (title_search) VALUES ('rebuild');
    """,
    """
    ALTER TABLE message ADD COLUMN context_changes TEXT;
    ALTER TABLE conversation ADD COLUMN context_overflow TEXT NOT NULL DEFAULT '';
    """,
    # place orders the list: the time of the last change, or just after the newest where the clock stands
    # behind it.  source names what an imported conversation was, so that it is not imported twice.
    # The indexes on shown_child and shown_root are for deleting: each message that goes is looked up there.
    """
    CREATE TABLE folder (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL
    );
    ALTER TABLE conversation ADD COLUMN folder INTEGER REFERENCES folder (id) ON DELETE SET NULL;
    ALTER TABLE conversation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE conversation ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE conversation ADD COLUMN source TEXT NOT NULL DEFAULT '';
    ALTER TABLE conversation ADD COLUMN place REAL NOT NULL DEFAULT 0;
    UPDATE conversation SET place = updated;
    CREATE INDEX conversation_by_place ON conversation (place);
    CREATE INDEX conversation_by_folder ON conversation (folder);
    CREATE INDEX conversation_by_source ON conversation (source) WHERE source != '';
    CREATE INDEX conversation_by_root ON conversation (shown_root);
    CREATE INDEX message_by_parent ON message (parent, conversation);
    CREATE INDEX message_by_shown_child ON message (shown_child);
    CREATE INDEX message_streaming ON message (state) WHERE state = 'streaming';
    CREATE TABLE preset (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        settings TEXT NOT NULL
    );
    CREATE TABLE attachment (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        text TEXT NOT NULL,
        tokens INTEGER NOT NULL
    );
    CREATE INDEX attachment_by_message ON attachment (message);
    CREATE VIRTUAL TABLE attachment_search USING fts5 (
        name, text, content = 'attachment', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER attachment_added AFTER INSERT ON attachment BEGIN
        INSERT INTO attachment_search (rowid, name, text) VALUES (new.id, new.name, new.text);
    END;
    CREATE TRIGGER attachment_gone AFTER DELETE ON attachment BEGIN
        INSERT INTO attachment_search (attachment_search, rowid, name, text)
        VALUES ('delete', old.id, old.name, old.text);
    END;
    """,
    """
    ALTER TABLE folder ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE INDEX conversation_pinned ON conversation (pinned) WHERE pinned = 1;
    """,
)
"""The schema's versions, in order; only ever appended to."""
