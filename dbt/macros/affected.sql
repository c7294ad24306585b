{#
    Which loans or applications a run is about. A model that derives rows from a key recomputes those of the key, so that a
    late change of any of its inputs lands where a full refresh would put it (macros/renew.sql).

    The lists name every satellite a change of which can matter; their batches since the last run are the changes.
#}

{#
    payments: whether they matter. A transaction that was never anything but a payment changes nothing of a loan's schedule, nor of what
    is known of the loan on a day.
    dated: whether that matters which holds from a day on: a product's parameters, and what the loan is classified as.
    since: also from which day on; the loan is as it was before. Of a payment it is the earliest day that it was ever of, as what
    undoes it is of no earlier one; of anything else any day.
#}
{% macro affected_loans(payments=true, dated=false, since=false) -%}
{%- set direct = ref('sat_loan') -%}
{%- set of_product = ref('sat_product') -%}
{%- set instalments = ref('sat_instalment') -%}
{%- set transactions = ref('sat_loan_transaction') -%}
{%- set links = {'instalment': ref('link_instalment'), 'loan_transaction': ref('link_loan_transaction'), 'loan': ref('link_loan')} -%}
{%- set ever = "cast('1900-01-01' as date)" -%}
    select s.loan_hk{% if since %}, {{ ever }}{% endif %} from {{ direct }} as s where {{ new_rows('sat_loan', 's') }}
    union
    select l.loan_hk{% if since %}, {{ ever }}{% endif %}
    from {{ instalments }} as s
    inner join {{ links.instalment }} as l on l.instalment_hk = s.instalment_hk
    where {{ new_rows('sat_instalment', 's') }}
    union
    select l.loan_hk
        {%- if since %}, (
            select min(case when v.kind = 'payment' then v.effective_on else {{ ever }} end)
            from {{ transactions }} as v
            where v.loan_transaction_hk = s.loan_transaction_hk
        )
        {%- endif %}
    from {{ transactions }} as s
    inner join {{ links.loan_transaction }} as l on l.loan_transaction_hk = s.loan_transaction_hk
    where {{ new_rows('sat_loan_transaction', 's') }}
    {%- if not payments %}
    and exists (
        select 1 from {{ transactions }} as v where v.loan_transaction_hk = s.loan_transaction_hk and v.kind <> 'payment'
    )
    {%- endif %}
    union
    select l.loan_hk{% if since %}, {{ ever }}{% endif %}
    from {{ of_product }} as s
    inner join {{ links.loan }} as l on l.product_hk = s.product_hk
    where {{ new_rows('sat_product', 's') }}
    {%- if dated %}
    {%- set parameters = ref('sat_product_parameters') %}
    union
    select l.loan_hk{% if since %}, p.valid_from{% endif %}
    from {{ parameters }} as s
    inner join {{ ref('link_product_parameters') }} as p on p.product_parameters_hk = s.product_parameters_hk
    inner join {{ links.loan }} as l on l.product_hk = p.product_hk
    where {{ new_rows('sat_product_parameters', 's') }}
    union
    {{ affected_classifications(since) }}
    {%- endif %}
{%- endmacro %}

{# Loans that are classified otherwise than before; since as of affected_loans: of a classification the earliest day that it ever began on. #}
{% macro affected_classifications(since=false) -%}
{%- set classifications = ref('sat_loan_classification') -%}
{%- set ever = "cast('1900-01-01' as date)" -%}
    select l.loan_hk
        {%- if since %}, (
            select coalesce(min(coalesce(v.effective_from, {{ ever }})), {{ ever }})
            from {{ classifications }} as v
            where v.loan_classification_hk = s.loan_classification_hk and v.operation <> 'd'
        )
        {%- endif %}
    from {{ classifications }} as s
    inner join {{ ref('link_loan_classification') }} as l on l.loan_classification_hk = s.loan_classification_hk
    where {{ new_rows('sat_loan_classification', 's') }}
{%- endmacro %}

{% macro affected_applications() -%}
{%- set direct = ref('sat_application') -%}
{%- set parts = {
    'application_version': ref('sat_application_version'),
    'application_event': ref('sat_application_event'),
    'application_party': ref('sat_application_party'),
    'loan': ref('sat_loan'),
} -%}
{%- set links = {
    'application_version': ref('link_application_version'),
    'application_event': ref('link_application_event'),
    'application_party': ref('link_application_party'),
    'loan': ref('link_loan'),
} -%}
{%- set behind = {
    'product': [ref('sat_product'), links['application_version']],
    'party': [ref('sat_party'), links['application_party']],
} -%}
{%- set parameters = [ref('sat_product_parameters'), ref('link_product_parameters')] -%}
    select s.application_hk from {{ direct }} as s where {{ new_rows('sat_application', 's') }}
    {%- for part, satellite in parts.items() %}
    union
    select l.application_hk
    from {{ satellite }} as s
    inner join {{ links[part] }} as l on l.{{ part }}_hk = s.{{ part }}_hk
    where {{ new_rows('sat_' ~ part, 's') }}
    {%- endfor %}
    {%- for name, found in behind.items() %}
    union
    select l.application_hk
    from {{ found[0] }} as s
    inner join {{ found[1] }} as l on l.{{ name }}_hk = s.{{ name }}_hk
    where {{ new_rows('sat_' ~ name, 's') }}
    {%- endfor %}
    union
    select l.application_hk
    from {{ parameters[0] }} as s
    inner join {{ parameters[1] }} as p on p.product_parameters_hk = s.product_parameters_hk
    inner join {{ links['application_version'] }} as l on l.product_hk = p.product_hk
    where {{ new_rows('sat_product_parameters', 's') }}
{%- endmacro %}

{# The application_id of those whose row in application_overview is another; all that have a loan once the reporting date moves on. #}
{% macro applications_to_show() -%}
{%- set day = '(select r.as_of_date from ' ~ ref('reporting_date') ~ ' as r)' -%}
{%- set applications = affected_applications() -%}
{%- set loans = affected_loans(dated=true) -%}
    select h.application_id
    from {{ ref('hub_application') }} as h
    inner join (
    {{ applications }}
    union
    select l.application_hk
    from {{ ref('link_loan') }} as l
    inner join ({{ loans }}) as a on a.loan_hk = l.loan_hk
    union
    select m.application_hk
    from {{ ref('fact_loan_month') }} as m
    where m.snapshot_kind = 'as_of' and m.snapshot_date = {{ day }}
    and not exists (select 1 from {{ this }} as t where t.loan_as_of_date = {{ day }})
    ) as c on c.application_hk = h.application_hk
    union
    select t.application_id from {{ this }} as t where t.loan_as_of_date < {{ day }} or t.loan_as_of_date > {{ day }}
{%- endmacro %}

{% macro affected_of_hub(entity) -%}
    {%- set satellite = ref('sat_' ~ entity) -%}
    select s.{{ entity }}_hk from {{ satellite }} as s where {{ new_rows('sat_' ~ entity, 's') }}
{%- endmacro %}

{# A pre-hook: take all rows out of a small table that is rewritten each time. #}
{% macro delete_all() -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    {%- endif -%}
{%- endmacro %}

{# A condition for current_of and history_of: `s` belongs to a key that this run is about, by the link `link`. #}
{% macro only_affected(entity, link, key) -%}
    {%- if is_incremental() -%}
    s.{{ entity }}_hk in (
        select l.{{ entity }}_hk from {{ link }} as l inner join affected as a on a.{{ key }} = l.{{ key }}
    )
    {%- else -%}
    1 = 1
    {%- endif -%}
{%- endmacro %}

{# The CTE `affected` of the keys that note_affected() has noted, in front of others; nothing in a full build, which is about every key. #}
{% macro with_affected(key) -%}
    with {% if is_incremental() %}affected as (
    select a.affected_key as {{ key }}{% if config.get('meta').get('affected_since') %}, a.since{% endif %} from {{ affected_table() }} as a
),

{% endif %}
{%- endmacro %}

{#
    The snapshots that a run which adds has to make for all loans: CTE body of (snapshot_kind, snapshot_date) that the calendar has and this table has not,
    later or earlier than those that are there.
#}
{% macro new_snapshots(calendar) -%}
    select c.snapshot_kind, c.snapshot_date
    from {{ calendar }} as c
    where not exists (
        select 1 from {{ this }} as t where t.snapshot_kind = c.snapshot_kind and t.snapshot_date = c.snapshot_date
    )
{%- endmacro %}

{# A pre-hook: snapshots that the calendar no longer has, such as yesterday's as-of date. One statement for each way to be out of it, so that each finds its rows by the index. #}
{% macro delete_other_snapshots(calendar) -%}
    {%- if is_incremental() -%}
    {%- set others = [('as_of', '<'), ('as_of', '>'), ('month_end', '<'), ('month_end', '>')] -%}
    {%- if config.get('meta').get('partitions') -%}
    {%- set gone = [] -%}
    {%- for kind, side in others -%}
    {%- do gone.append('select t.snapshot_kind as kind, t.snapshot_date as day from ' ~ this ~ ' as t where ' ~ beside_last(calendar, kind, side)) -%}
    {%- endfor -%}
    {{ note_partitions(gone | join(' union all ')) }}
    {%- endif %}
    {%- for kind, side in others %}
    delete from {{ this }} where {{ beside_last(calendar, kind, side) }};
    {%- endfor %}
    {%- endif -%}
{%- endmacro %}

{% macro beside_last(calendar, kind, side) -%}
    snapshot_kind = '{{ kind }}' and snapshot_date {{ side }} (
        select coalesce({{ 'min' if side == '<' else 'max' }}(c.snapshot_date), cast('{{ '9999-12-31' if side == '<' else '0001-01-01' }}' as date))
        from {{ calendar }} as c
        where c.snapshot_kind = '{{ kind }}'
    )
{%- endmacro %}
