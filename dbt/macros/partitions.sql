{#
    Partitions of a fact, such as its snapshots, and who has to recompute what it derives from them.

    build.partition_version(model, kind, day, version) says which version the rows of a partition have: a model of the strategy `renew` gives a partition
    another one whenever a row of it comes, goes or changes (macros/renew.sql). build.partition_read(reader, source, partition_kind,
    partition_day, done, pending) says which version a model derived its own rows from.

    open_partitions() is the reader's pre-hook: before anything is read it notes in `pending` what there is. delete_stale() takes out
    the reader's rows of the partitions that are not as it knows them, its body makes those alone, and close_partitions() makes `pending`
    `done`, in the same transaction. A partition that changes meanwhile has another version by then, and comes with the next build.

    A partition whose rows are all gone stays here, as of a version without rows: were it forgotten and came back, a reader that
    was not built meanwhile would take it for the one that it knows.
#}
{% macro create_partitions() %}
    {%- if execute %}
    {%- for table in work_tables() %}
    {{ create_work_table('build.' ~ table[0], table[1]) }}
    {%- endfor %}
    {%- endif %}
{% endmacro %}

{# The tables behind, and for each model that is renewed the keys that a run is about, as pairs of name and columns. #}
{% macro work_tables() %}
    {%- set found = [
        ('partition_version', 'model varchar(128) not null, kind varchar(16) not null, day date not null, version bigint not null, constraint pk_partition_version primary key (model, kind, day, version)'),
        ('partition_read', 'reader varchar(128) not null, source varchar(128) not null, partition_kind varchar(16) not null, partition_day date not null, done bigint not null, pending bigint not null, constraint pk_partition_read primary key (reader, source, partition_kind, partition_day)'),
    ] -%}
    {%- for node in renewed_models() -%}
        {%- set name = affected_name(node.name, node.config.meta) -%}
        {%- set since = 'since date not null, ' if node.config.meta.get('affected_since') else '' -%}
        {%- do found.append((name, 'affected_key varchar(64) not null, ' ~ since ~ 'constraint pk_' ~ name ~ ' primary key (affected_key)')) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{# The models that `node` reads and that have partitions. #}
{% macro partitioned_inputs(node) %}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes if id.startswith('model.') and node_of(id).config.meta.get('partitions') -%}
        {%- do found.append(node_of(id).name) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{#
    The partitions that rows of a relation, as `x`, lie in: rows of kind and day, some of them more than once. partitions: what the model's
    configuration says of itself: kind is SQL, day a column; a partition is a month where `monthly` is.
#}
{% macro partitions_of(rows, partitions) -%}
    {%- for partition in partitions %}
    select {{ partition.kind }} as kind, {{ month_start('x.' ~ partition.day) if partition.monthly else 'x.' ~ partition.day }} as day
    from {{ rows }}
    where x.{{ partition.day }} is not null
    {{- " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Give the partitions of a subquery of kind and day the next version. #}
{% macro note_partitions(changed) -%}
    insert into build.partition_version (model, kind, day, version)
    select distinct
        '{{ this.identifier }}', c.kind, c.day,
        (select coalesce(max(p.version), 0) + 1 from build.partition_version as p where p.model = '{{ this.identifier }}')
    from ({{ changed }}) as c;
    delete from build.partition_version
    where model = '{{ this.identifier }}' and exists (
        select 1
        from (
            select p.kind as later_kind, p.day as later_day, p.version as later_version from build.partition_version as p where p.model = '{{ this.identifier }}'
        ) as later
        where later_kind = kind and later_day = day and later_version > version
    );
{%- endmacro %}

{# A post-hook: all partitions of a table that was rebuilt, and those it had before, are of another version. #}
{% macro note_all_partitions() -%}
    {%- if execute and config.get('meta').get('partitions') and not is_incremental() -%}
    {{ note_partitions(
        partitions_of(this ~ ' as x', config.get('meta').partitions) ~ " union all select p.kind, p.day from build.partition_version as p where p.model = '" ~ this.identifier ~ "'"
    ) }}
    {%- endif -%}
{%- endmacro %}

{% macro open_partitions() -%}
    {%- if execute and config.get('materialized') == 'incremental' and partitioned_inputs(model) -%}
    insert into build.partition_read (reader, source, partition_kind, partition_day, done, pending)
    select '{{ this.identifier }}', p.model, p.kind, p.day, -1, -1
    from build.partition_version as p
    where p.model in ('{{ partitioned_inputs(model) | join("', '") }}') and not exists (
        select 1 from build.partition_read as r
        where r.reader = '{{ this.identifier }}' and r.source = p.model and r.partition_kind = p.kind and r.partition_day = p.day
    );
    update build.partition_read
    set pending = (
        select coalesce(max(p.version), -1) from build.partition_version as p where p.model = source and p.kind = partition_kind and p.day = partition_day
    )
    where reader = '{{ this.identifier }}';
    {%- endif -%}
{%- endmacro %}

{% macro close_partitions() -%}
    {%- if execute and config.get('materialized') == 'incremental' and partitioned_inputs(model) -%}
    update build.partition_read set done = pending where reader = '{{ this.identifier }}' and done <> pending;
    {%- endif -%}
{%- endmacro %}

{# A pre-hook behind open_partitions(): rows that say which reporting date they are of are all stale once it is another. #}
{% macro redo_on_another_day() -%}
    {%- if is_incremental() -%}
    update build.partition_read set done = -1
    where reader = '{{ this.identifier }}' and not exists (
        select 1 from {{ this }} as t inner join {{ ref('reporting_date') }} as r on r.as_of_date = t.as_of_date
    );
    {%- endif -%}
{%- endmacro %}

{# The partitions of `source` that this run makes, as partition_kind and partition_day. #}
{% macro stale_partitions(source) -%}
    select r.partition_kind, r.partition_day
    from build.partition_read as r
    where r.reader = '{{ this.identifier }}' and r.source = '{{ source }}' and r.done <> r.pending
{%- endmacro %}

{# A condition: the rows of the partition that two expressions say, its kind and day, are made by this run. #}
{% macro in_stale_partition(source, kind, day) -%}
    {%- if is_incremental() -%}
    exists (select 1 from ({{ stale_partitions(source) }}) as p where p.partition_kind = {{ kind }} and p.partition_day = {{ day }})
    {%- else -%}
    1 = 1
    {%- endif -%}
{%- endmacro %}

{# The same of partitions of one kind, by its name. #}
{% macro in_stale_partition_of(source, kind, day) -%}
    {{ in_stale_partition(source, "'" ~ kind ~ "'", day) }}
{%- endmacro %}

{# A pre-hook: take out the rows that the condition, on columns of this table, says to be stale. #}
{% macro delete_stale(condition) -%}
    {%- if is_incremental() -%}
    delete from {{ this }} where {{ condition }};
    {%- endif -%}
{%- endmacro %}

{# A condition on the rows of kpi_decision: those of a month that this run makes, and the backlog, which every day is another. #}
{% macro months_of_decisions() -%}
    grain = 'as_of'
    or grain = 'month_of_decision' and {{ in_stale_partition_of('fact_decision', 'decided', 'period_start') }}
    or grain = 'month_of_submission' and {{ in_stale_partition_of('fact_decision', 'submitted', 'period_start') }}
{%- endmacro %}
