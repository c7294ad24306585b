{{ config(
    materialized='incremental',
    incremental_strategy='renew',
    unique_key=['loan_hk', 'snapshot_kind', 'snapshot_date'],
    meta={'affected_key': 'loan_hk', 'affected_since': 'snapshot_date', 'partitions': [{'kind': 'x.snapshot_kind', 'day': 'snapshot_date', 'monthly': false}]},
    pre_hook=[
        "{{ note_affected(affected_loans(dated=true, since=true)) }}",
        "{{ delete_other_snapshots(ref('snapshot_calendar')) }}",
    ],
    indexes=[
        {'columns': ['loan_hk', 'snapshot_kind', 'snapshot_date'], 'unique': true},
        {'columns': ['snapshot_kind', 'snapshot_date']},
        {'columns': ['snapshot_date']},
    ],
) }}

{#- Grouped by everything that is known of a snapshot: a join back to it by loan, kind and date is one whose rows no
    planner can estimate, and it would aggregate again for each of them. -#}
{%- set known = [
    'loan_hk', 'snapshot_kind', 'snapshot_date', 'application_hk', 'party_hk', 'product_hk', 'loan_position_major',
    'loan_position_minor', 'product_position_major', 'product_position_minor', 'product_parameters_hk',
    'parameters_position_major', 'parameters_position_minor', 'is_defaulted', 'is_restructured', 'is_classification_dated',
] -%}
{#- No more than was lent, so it has the type of an amount: a factor of 38 digits would cost T-SQL the scale of the product. -#}
{%- set undrawn -%}
case when t.status = 'open' then {{ larger('l.principal - t.disbursed_amount', '0') }} else 0 end
{%- endset -%}
{%- set moved = ['disbursed_on', 'disbursed_amount', 'paid_amount', 'written_off_amount', 'recovered_amount'] -%}

{{ with_affected('loan_hk') }}
{%- if is_incremental() %}
snapshot_calendar as {{ rows_of(ref('snapshot_calendar')) }},
{%- endif %}
pit_loan as {{ rows_of(ref('pit_loan')) }},
classified_period as {{ rows_of(ref('classified_period')) }},
loan_movement as {{ rows_of(ref('loan_movement')) }},
instalment_schedule as {{ rows_of(ref('instalment_schedule')) }},
sat_loan as {{ rows_of(ref('sat_loan')) }},
hub_loan as {{ rows_of(ref('hub_loan')) }},
hub_product as {{ rows_of(ref('hub_product')) }},
sat_product as {{ rows_of(ref('sat_product')) }},
sat_product_parameters as {{ rows_of(ref('sat_product_parameters')) }},

{% if is_incremental() %}missing as (
    {{ new_snapshots('snapshot_calendar') }}
),

{% endif %}snapshots as (
    select p.*
    from pit_loan as p
    {%- if is_incremental() %}
    inner join affected as a on a.loan_hk = p.loan_hk and a.since <= p.snapshot_date
    union all
    select p.*
    from pit_loan as p
    inner join missing as n on n.snapshot_kind = p.snapshot_kind and n.snapshot_date = p.snapshot_date
    where not exists (select 1 from affected as a where a.loan_hk = p.loan_hk and a.since <= p.snapshot_date)
    {%- endif %}
),

-- What the loan was classified as on the day. The periods of a classification do not overlap: a snapshot stays one row.
classified as (
    select
        s.*,
        case when d.loan_hk is null then 0 else 1 end as is_defaulted,
        case when r.loan_hk is null then 0 else 1 end as is_restructured,
        case when d.is_dated = 0 or r.is_dated = 0 then 0 else 1 end as is_classification_dated
    from snapshots as s
    left join classified_period as d
        on d.loan_hk = s.loan_hk and d.classification = 'default'
        and d.effective_from <= s.snapshot_date and d.effective_to > s.snapshot_date
    left join classified_period as r
        on r.loan_hk = s.loan_hk and r.classification = 'restructured'
        and r.effective_from <= s.snapshot_date and r.effective_to > s.snapshot_date
),

moved as (
    select
        {% for column in known %}s.{{ column }}, {% endfor %}
        -- Unknown as long as one of them is: the first may be that one.
        case
            when min(case when m.effect = 'disbursement' then coalesce(m.is_dated, 1) end) = 1
                then min(case when m.effect = 'disbursement' then m.effective_on end)
        end as disbursed_on,
        sum(case when m.effect = 'disbursement' then m.amount else 0 end) as disbursed_amount,
        sum(case when m.effect = 'payment' then m.amount else 0 end) as paid_amount,
        sum(case when m.effect = 'write-off' then m.amount else 0 end) as written_off_amount,
        sum(case when m.effect = 'recovery' then m.amount else 0 end) as recovered_amount
    from classified as s
    inner join loan_movement as m on m.loan_hk = s.loan_hk and m.effective_on <= s.snapshot_date
    group by {% for column in known %}s.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
),

-- Payments applied FIFO: an instalment is paid as far as the sum of payments reaches into [due_before, due_after); of an
-- instalment the interest is paid first.
applied as (
    select
        {% for column in known + moved %}m.{{ column }}, {% endfor %}
        max(i.due_on) as matures_on,
        max(i.due_after) as scheduled_amount,
        sum(case when i.due_on > m.snapshot_date then 1 else 0 end) as remaining_instalments,
        min(case when i.due_after > m.paid_amount then i.due_on end) as oldest_unpaid_on,
        -- On its due day an instalment is owed, not overdue.
        sum(case when i.due_on < m.snapshot_date then i.principal + i.interest else 0 end) as overdue_by_schedule,
        cast(sum(case
            when i.due_on <= m.snapshot_date then i.interest
            when i.period_from < m.snapshot_date
                then i.interest * {{ days_between('i.period_from', 'm.snapshot_date') }} / {{ days_between('i.period_from', 'i.due_on') }}
            else 0
        end) as numeric(38, 4)) as earned_interest,
        sum(case
            when m.paid_amount >= i.due_before + i.interest then i.interest
            when m.paid_amount > i.due_before then m.paid_amount - i.due_before
            else 0
        end) as paid_interest,
        sum(case
            when m.paid_amount >= i.due_after then i.principal
            when m.paid_amount > i.due_before + i.interest then m.paid_amount - i.due_before - i.interest
            else 0
        end) as paid_principal
    from moved as m
    left join instalment_schedule as i on i.loan_hk = m.loan_hk
    group by {% for column in known + moved %}m.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
),

balances as (
    select
        {% for column in known + moved %}a.{{ column }}, {% endfor %}
        coalesce(a.matures_on, a.snapshot_date) as matures_on,
        coalesce(a.scheduled_amount, 0) as scheduled_amount,
        a.remaining_instalments,
        a.oldest_unpaid_on,
        {{ larger('a.overdue_by_schedule - a.paid_amount', '0') }} as unpaid_by_schedule,
        {{ larger('a.earned_interest - a.paid_interest', '0') }} as interest_owed,
        {{ larger('a.disbursed_amount - a.paid_principal - a.written_off_amount', '0') }} as principal_owed,
        {{ larger('a.paid_amount - coalesce(a.scheduled_amount, 0)', '0') }} as overpaid_amount
    from applied as a
),

judged as (
    select
        b.*,
        case
            when b.disbursed_amount <= 0 then 'cancelled'
            when b.written_off_amount > 0 and b.principal_owed = 0 then 'written_off'
            when b.principal_owed = 0 and b.paid_amount >= b.scheduled_amount then 'paid_off'
            else 'open'
        end as status,
        case
            when b.oldest_unpaid_on < b.snapshot_date then {{ days_between('b.oldest_unpaid_on', 'b.snapshot_date') }}
            else 0
        end as days_late
    from balances as b
),

stated as (
    select
        j.*,
        case when j.status = 'open' then j.principal_owed else 0 end as outstanding_principal,
        case when j.status = 'open' then j.interest_owed else 0 end as accrued_interest,
        -- What is written off in part stays in the schedule, and is overdue no more than what is left.
        case
            when j.status = 'open' then {{ smaller('j.unpaid_by_schedule', 'j.principal_owed + j.interest_owed') }}
            else 0
        end as overdue_amount,
        case when j.status = 'open' then j.days_late else 0 end as days_past_due
    from judged as j
),

final as (
    select
        cast(t.loan_hk as varchar(64)) as loan_hk,
        h.loan_id,
        t.snapshot_kind,
        t.snapshot_date,
        cast(t.application_hk as varchar(64)) as application_hk,
        cast(t.party_hk as varchar(64)) as borrower_hk,
        cast({{ version_key('product', 't', 'product_') }} as varchar(64)) as product_key,
        g.product_code,
        l.currency,
        l.principal as originated_amount,
        l.interest_rate,
        f.probability_of_default,
        f.loss_given_default,
        f.credit_conversion_factor,
        t.disbursed_on,
        {{ months_between('t.disbursed_on', 't.snapshot_date') }} as months_on_book,
        t.matures_on,
        cast(t.remaining_instalments as bigint) as remaining_instalments,
        t.status,
        t.days_past_due,
        cast(case when t.status = 'open' then {{ dpd_bucket('t.days_past_due') }} else t.status end as varchar(11)) as bucket,
        cast(t.outstanding_principal as numeric(38, 4)) as outstanding_principal,
        cast(t.accrued_interest as numeric(38, 4)) as accrued_interest,
        cast(t.outstanding_principal + t.accrued_interest as numeric(38, 4)) as gross_amount,
        cast({{ undrawn }} as numeric(38, 4)) as undrawn_amount,
        cast(
            t.outstanding_principal + t.accrued_interest
            + cast({{ undrawn }} as numeric(19, 4)) * cast(coalesce(f.credit_conversion_factor, 0) as numeric(9, 6))
            as numeric(38, 4)
        ) as exposure_amount,
        cast(t.overdue_amount as numeric(38, 4)) as overdue_amount,
        cast(t.paid_amount as numeric(38, 4)) as paid_amount,
        cast(t.overpaid_amount as numeric(38, 4)) as overpaid_amount,
        cast(t.disbursed_amount as numeric(38, 4)) as disbursed_amount,
        cast(t.written_off_amount as numeric(38, 4)) as written_off_amount,
        cast(t.recovered_amount as numeric(38, 4)) as recovered_amount,
        t.is_restructured,
        t.is_defaulted,
        t.is_classification_dated,
        case
            when t.status <> 'open' then 0
            when t.is_defaulted = 1 then 1
            when
                t.days_past_due > 90
                and t.overdue_amount > {{ var('materiality_amount') }}
                and t.overdue_amount > {{ var('materiality_share') }} * (t.outstanding_principal + t.accrued_interest)
                then 1
            else 0
        end as is_non_performing,
        case
            when t.status <> 'open' then 0
            when t.is_defaulted = 1 or t.days_past_due >= 90 then 3
            when t.days_past_due > 30 or t.is_restructured = 1 then 2
            else 1
        end as ifrs9_stage
    from stated as t
    inner join sat_loan as l
        on l.loan_hk = t.loan_hk and {{ same_position('l', 't', 'loan_') }}
    inner join hub_loan as h on h.loan_hk = t.loan_hk
    inner join hub_product as g on g.product_hk = t.product_hk
    -- Without a row of the product there is no fact. Its parameters may be unknown on a day: then the loan is in no expected loss, and
    -- what is undrawn of it in no exposure.
    inner join sat_product as p
        on p.product_hk = t.product_hk and {{ same_position('p', 't', 'product_') }}
    inner join sat_product_parameters as f
        on f.product_parameters_hk = t.product_parameters_hk and {{ same_position('f', 't', 'parameters_') }}
)

select * from final
