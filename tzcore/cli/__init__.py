"""The command ``tz``: one file a verb, nothing imported before it is needed."""
